//! The list of benchmarks, shared by `pure` (time) and `instructions`.

mod engine;
mod message;

/// A benchmark.
pub(crate) struct Case {
    pub(crate) name: String,
    set_up: Box<dyn FnOnce() -> Run>,
}

/// Runs it once.
pub(crate) type Run = Box<dyn FnMut()>;

impl Case {
    fn new<R: FnMut() + 'static>(name: impl Into<String>, set_up: impl FnOnce() -> R + 'static) -> Case {
        Case { name: name.into(), set_up: Box::new(|| Box::new(set_up())) }
    }

    /// Set up only when measured: other heap contents decide whether a buffer grows in place.
    pub(crate) fn set_up(self) -> Run {
        (self.set_up)()
    }
}

pub(crate) fn cases() -> Vec<Case> {
    message::cases().into_iter().chain(engine::cases()).collect()
}
