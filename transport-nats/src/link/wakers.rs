//! Wakes both ways of a link.

use std::sync::Arc;
use std::task::Wake;

use futures_util::task::AtomicWaker;

/// The two tasks that may wait for a link. What a link waits for has room for one waker, and either of them may be the one
/// that polls it.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    pub(crate) reader: AtomicWaker,
    pub(crate) writer: AtomicWaker,
}

impl Wakers {
    pub(crate) fn wake_both(&self) {
        self.reader.wake();
        self.writer.wake();
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_both();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_both();
    }
}
