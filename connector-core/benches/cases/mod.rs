//! What is measured: the one list, for the clock (`pure`) and for the count of instructions (`instructions`).

mod engine;
mod message;

/// One thing to measure.
pub(crate) struct Case {
    pub(crate) name: String,
    set_up: Box<dyn FnOnce() -> Run>,
}

/// Does it once.
pub(crate) type Run = Box<dyn FnMut()>;

impl Case {
    fn new<R: FnMut() + 'static>(name: impl Into<String>, set_up: impl FnOnce() -> R + 'static) -> Case {
        Case { name: name.into(), set_up: Box::new(|| Box::new(set_up())) }
    }

    /// Only where it is measured: what others leave on the heap decides whether a buffer grows in its place.
    pub(crate) fn set_up(self) -> Run {
        (self.set_up)()
    }
}

pub(crate) fn cases() -> Vec<Case> {
    message::cases().into_iter().chain(engine::cases()).collect()
}
