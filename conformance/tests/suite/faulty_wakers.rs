//! Faulty storage of wakers.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

/// One slot for a waker, shared by both directions.
#[derive(Clone, Default)]
pub(crate) struct Slot(Arc<OneWaker>);

#[derive(Default)]
struct OneWaker(Mutex<Option<Waker>>);

impl Slot {
    /// A waker that wakes the slot's current waker, now set to this one.
    pub(crate) fn replace(&self, waker: &Waker) -> Waker {
        *self.0.0.lock().unwrap() = Some(waker.clone());
        self.0.clone().into()
    }

    /// As [`replace`](Slot::replace), but an earlier waker stays until it has been woken.
    pub(crate) fn keep(&self, waker: &Waker) -> Waker {
        self.0.0.lock().unwrap().get_or_insert_with(|| waker.clone());
        self.0.clone().into()
    }
}

impl Wake for OneWaker {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.0.lock().unwrap().take() {
            waker.wake();
        }
    }
}
