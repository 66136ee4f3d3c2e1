//! The queue in front of a service's link. All connections push to it; the service's task owns it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use connector_core::QueueLimits;
use futures_util::task::AtomicWaker;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::outgoing::PeerId;

/// Frames of several senders, who take turns.
///
/// A sender may fill at most half of what the others leave free, so that none shuts the others out.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: QueueLimits,
    state: Mutex<State>,
    owner: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    /// The senders of queued frames. The first one is next.
    turns: VecDeque<PeerId>,
    queues: HashMap<PeerId, SenderQueue>,
    messages: usize,
    bytes: usize,
    /// A frame was rejected since the last one was sent.
    rejected: bool,
    /// When the service's next response is due.
    deadline: Option<Instant>,
}

#[derive(Debug, Default)]
struct SenderQueue {
    frames: VecDeque<Utf8Bytes>,
    bytes: usize,
}

impl Outbox {
    pub(super) fn new(limits: QueueLimits) -> Outbox {
        Outbox { limits, state: Mutex::default(), owner: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a frame without waiting. False if the sender's share of the queue is full; the frame is dropped.
    pub(super) fn push(&self, from: PeerId, frame: Utf8Bytes) -> bool {
        let mut state = self.state();
        let free_messages = self.limits.max_messages.saturating_sub(state.messages);
        let free_bytes = self.limits.max_bytes.saturating_sub(state.bytes);
        let (own_messages, own_bytes) =
            state.queues.get(&from).map_or((0, 0), |queue| (queue.frames.len(), queue.bytes));
        // An empty queue accepts a frame of any size.
        let fits = state.messages == 0 || own_bytes.saturating_add(frame.len()) <= free_bytes;
        let accepted = own_messages < free_messages && fits;
        if accepted {
            state.messages += 1;
            state.bytes = state.bytes.saturating_add(frame.len());
            let queue = state.queues.entry(from).or_default();
            let first = queue.frames.is_empty();
            queue.bytes = queue.bytes.saturating_add(frame.len());
            queue.frames.push_back(frame);
            if first {
                state.turns.push_back(from);
            }
        } else {
            state.rejected = true;
        }
        drop(state);
        self.owner.wake();
        accepted
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

    /// For the owner: the next frame, of each sender in turn.
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Utf8Bytes> {
        self.owner.register(cx.waker());
        let mut state = self.state();
        let state = &mut *state;
        let Some(sender) = state.turns.pop_front() else { return Poll::Pending };
        let Some(queue) = state.queues.get_mut(&sender) else { return Poll::Pending };
        let Some(frame) = queue.frames.pop_front() else { return Poll::Pending };
        queue.bytes -= frame.len();
        match queue.frames.is_empty() {
            true => drop(state.queues.remove(&sender)),
            false => state.turns.push_back(sender),
        }
        state.messages -= 1;
        state.bytes -= frame.len();
        state.rejected = false;
        Poll::Ready(frame)
    }

    /// For the owner: whether the queue is full. Wakes the owner when it becomes so.
    pub(super) fn is_full(&self, cx: &mut Context<'_>) -> bool {
        self.owner.register(cx.waker());
        let state = self.state();
        state.rejected || self.limits.is_full(state.messages, state.bytes)
    }

    pub(super) fn limits(&self) -> &QueueLimits {
        &self.limits
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn pop(outbox: &Outbox) -> Option<String> {
        match outbox.poll_pop(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => Some(frame.as_str().to_owned()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn senders_take_turns() {
        let outbox = Outbox::new(QueueLimits::default());
        for frame in ["a1", "a2", "a3"] {
            assert!(outbox.push(1, Utf8Bytes::from_static(frame)));
        }
        assert!(outbox.push(2, Utf8Bytes::from_static("b1")));
        let order: Vec<_> = std::iter::from_fn(|| pop(&outbox)).collect();
        assert_eq!(order, ["a1", "b1", "a2", "a3"]);
        assert!(outbox.state().queues.is_empty() && outbox.state().bytes == 0);
    }

    #[test]
    fn no_sender_fills_the_queue_of_the_others() {
        for limits in [QueueLimits::default().max_messages(8), QueueLimits::default().max_bytes(16)] {
            let outbox = Outbox::new(limits);
            let push = |from| outbox.push(from, Utf8Bytes::from_static("xx"));
            let first = (0..20).filter(|_| push(1)).count();
            assert_eq!(first, 4);
            assert!(outbox.is_full(&mut Context::from_waker(Waker::noop())));
            assert!(push(2));
            pop(&outbox).unwrap();
            assert!(push(3) && !outbox.is_full(&mut Context::from_waker(Waker::noop())));
        }
    }

    #[test]
    fn an_empty_queue_accepts_a_frame_of_any_size() {
        let outbox = Outbox::new(QueueLimits::default().max_bytes(4));
        assert!(outbox.push(1, "x".repeat(100).into()) && !outbox.push(2, "x".into()));
        assert_eq!(pop(&outbox).unwrap().len(), 100);
    }
}
