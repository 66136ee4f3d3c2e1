//! How a handle asks the task that owns a link to close it in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

#[derive(Debug, Default)]
pub(crate) struct Stop {
    asked: AtomicBool,
    owner: AtomicWaker,
}

impl Stop {
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.owner.wake();
    }

    /// Takes the question back, before a new start.
    pub(crate) fn reset(&self) {
        self.asked.store(false, Ordering::Release);
    }

    /// The owner's alone: ready once asked.
    pub(crate) fn poll_asked(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.owner.register(cx.waker());
        if self.asked.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}
