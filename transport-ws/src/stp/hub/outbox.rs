//! The queue in front of a service's link. All connections push to it; the service's task owns it.

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
    /// When the service's next response is due.
    deadline: Option<Instant>,
}

impl Outbox {
    pub(super) fn new(limits: QueueLimits) -> Outbox {
        Outbox { limits, state: Mutex::default(), owner: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame without waiting. A frame over the limits is dropped, and the link is closed.
    pub(super) fn push(&self, frame: Utf8Bytes) {
        let mut state = self.state();
        let bytes = state.bytes.saturating_add(frame.len());
        if self.limits.admits(state.queue.len(), bytes) {
            state.bytes = bytes;
            state.queue.push_back(frame);
        } else {
            state.overflowed = true;
        }
        drop(state);
        self.owner.wake();
    }

    /// A response is due by `deadline`. The owner enforces it.
    pub(super) fn set_deadline(&self, deadline: Instant) {
        let mut state = self.state();
        if state.deadline.is_none_or(|before| deadline < before) {
            state.deadline = Some(deadline);
            drop(state);
            self.owner.wake();
        }
    }

    /// For the owner: when the next response is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.state().deadline
    }

    /// For the owner: clears the deadline. Later deadlines must be set again.
    pub(super) fn take_deadline(&self) -> Option<Instant> {
        self.state().deadline.take()
    }

    /// For the owner: the next frame.
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

    /// For the owner: whether the queue is full, and whether it has overflowed. Wakes the owner when either becomes true.
    pub(super) fn backlog(&self, cx: &mut Context<'_>) -> (bool, bool) {
        self.owner.register(cx.waker());
        let state = self.state();
        (self.limits.is_full(state.queue.len(), state.bytes), state.overflowed)
    }

    pub(super) fn limits(&self) -> &QueueLimits {
        &self.limits
    }
}
