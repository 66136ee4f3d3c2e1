//! The queue in front of a service's link, pushed to by whoever talks to the service.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use connector_core::QueueLimits;
use futures_util::task::AtomicWaker;
use tokio_tungstenite::tungstenite::Utf8Bytes;

#[derive(Debug)]
pub(super) struct Outbox {
    limits: QueueLimits,
    state: Mutex<State>,
    owner: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Utf8Bytes>,
    bytes: usize,
    overflowed: bool,
    /// When the service's next answer is due.
    due: Option<Instant>,
}

impl Outbox {
    pub(super) fn new(limits: QueueLimits) -> Outbox {
        Outbox { limits, state: Mutex::default(), owner: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues without waiting. What is past the very most is dropped, and the link with it.
    pub(super) fn push(&self, frame: Utf8Bytes) {
        let mut state = self.state();
        let bytes = state.bytes.saturating_add(frame.len());
        if state.queue.len() >= self.limits.max_messages || (bytes > self.limits.max_bytes && !state.queue.is_empty()) {
            state.overflowed = true;
        } else {
            state.bytes = bytes;
            state.queue.push_back(frame);
        }
        drop(state);
        self.owner.wake();
    }

    /// An answer is due by then; the owner looks after it.
    pub(super) fn set_due(&self, due: Instant) {
        let mut state = self.state();
        if state.due.is_none_or(|before| due < before) {
            state.due = Some(due);
            drop(state);
            self.owner.wake();
        }
    }

    /// The owner's: when to look.
    pub(super) fn due(&self) -> Option<Instant> {
        self.state().due
    }

    /// The owner's: it looks now, and what is due later is to be set anew.
    pub(super) fn take_due(&self) -> Option<Instant> {
        self.state().due.take()
    }

    /// The owner's: the next frame.
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Utf8Bytes> {
        self.owner.register(cx.waker());
        let mut state = self.state();
        match state.queue.pop_front() {
            Some(frame) => {
                state.bytes -= frame.len();
                Poll::Ready(frame)
            }
            None => Poll::Pending,
        }
    }

    /// The owner's: whether it is full, and whether it was more than full. It is woken when either changes for the
    /// worse.
    pub(super) fn backlog(&self, cx: &mut Context<'_>) -> (bool, bool) {
        self.owner.register(cx.waker());
        let state = self.state();
        let full = state.queue.len() >= self.limits.capacity || state.bytes >= self.limits.max_bytes;
        (full, state.overflowed)
    }

    pub(super) fn limits(&self) -> &QueueLimits {
        &self.limits
    }
}
