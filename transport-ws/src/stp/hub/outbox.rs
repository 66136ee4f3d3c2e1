//! The queue in front of a service's link. All connections push to it; the service's task owns it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use connector_core::QueueLimits;
use futures_util::task::AtomicWaker;
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::memory::{Account, Charge, SessionMemory};
use super::outgoing::PeerId;

/// What a queued frame takes beside its text.
pub(super) const FRAME: usize = 128;
/// What a request that awaits an answer takes.
pub(super) const RECORD: usize = 384;
/// Answers to its own requests that a connection may leave unread. Then the hub reads nothing more from it.
const MAX_UNSENT_ANSWERS: usize = 64;
/// Room beyond the limits for refusals, as a part of them, and at least.
const OVERDRAFT: usize = 16;
const MIN_OVERDRAFT: (usize, usize) = (64, 64 << 10);

/// Frames of several senders, who take turns.
///
/// A sender may fill at most half of what the others leave free, so that none shuts the others out. Requests that await the
/// service's answers count like queued bytes.
#[derive(Debug)]
pub(super) struct Outbox {
    limits: QueueLimits,
    state: Mutex<State>,
    /// Bytes of the requests that await the service's answers.
    records: AtomicUsize,
    owner: AtomicWaker,
}

#[derive(Debug)]
struct State {
    /// What the connection makes the hub hold in its session.
    account: Arc<Account>,
    /// The senders of queued frames. The first one is next.
    turns: VecDeque<PeerId>,
    queues: HashMap<PeerId, SenderQueue>,
    messages: usize,
    bytes: usize,
    /// A frame was rejected since the last one was sent.
    rejected: bool,
    /// Not even a refusal fits.
    overflowed: bool,
    /// When the service's next response is due.
    deadline: Option<Instant>,
}

#[derive(Debug, Default)]
struct SenderQueue {
    frames: VecDeque<Queued>,
    bytes: usize,
}

/// A frame, with its part of the session's memory. A text that goes to several services is charged once.
#[derive(Debug)]
struct Queued {
    text: Utf8Bytes,
    _charge: Option<Arc<Charge>>,
}

impl Outbox {
    /// Until the connection joins a session, it counts for itself.
    pub(super) fn new(limits: QueueLimits, memory: Arc<SessionMemory>) -> Outbox {
        let state = State {
            account: Account::new(memory),
            turns: VecDeque::new(),
            queues: HashMap::new(),
            messages: 0,
            bytes: 0,
            rejected: false,
            overflowed: false,
            deadline: None,
        };
        Outbox { limits, state: Mutex::new(state), records: AtomicUsize::new(0), owner: AtomicWaker::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn account(&self) -> Arc<Account> {
        Arc::clone(&self.state().account)
    }

    /// The connection has joined a session. What is queued still counts for the previous one.
    pub(super) fn set_account(&self, account: Arc<Account>) {
        self.state().account = account;
    }

    /// Counts a request that awaits the service's answer, which `charge` pays for, until the record is dropped.
    pub(super) fn record(self: &Arc<Outbox>, charge: Charge) -> Record {
        self.records.fetch_add(RECORD, Ordering::Relaxed);
        Record { outbox: Arc::clone(self), _charge: charge }
    }

    /// Queues a frame without waiting.
    ///
    /// # Errors
    /// The sender's share of the queue is full.
    pub(super) fn push(&self, from: PeerId, text: Utf8Bytes, charge: Arc<Charge>) -> Result<(), String> {
        let mut state = self.state();
        let free_messages = self.limits.max_messages.saturating_sub(state.messages);
        let held = state.bytes.saturating_add(self.records.load(Ordering::Relaxed));
        let free_bytes = self.limits.max_bytes.saturating_sub(held);
        let (own_messages, own_bytes) =
            state.queues.get(&from).map_or((0, 0), |queue| (queue.frames.len(), queue.bytes));
        // An empty queue accepts a frame of any size.
        let fits = state.messages == 0 || own_bytes.saturating_add(text.len() + FRAME) <= free_bytes;
        let accepted = own_messages < free_messages && fits;
        if accepted {
            state.add(from, text, Some(charge));
        } else {
            // An empty queue is not the fault of a service that does not read.
            state.rejected = state.messages > 0;
        }
        drop(state);
        self.owner.wake();
        match accepted {
            true => Ok(()),
            false => Err("the service is busy: too much from this connection is queued for it".to_owned()),
        }
    }

    /// Queues a refusal, which may exceed the limits slightly. Beyond that, the connection ends: it does not read.
    pub(super) fn push_refusal(&self, from: PeerId, text: Utf8Bytes, charge: Option<Charge>) {
        let beyond = |limit: usize, least: usize| limit.saturating_add((limit / OVERDRAFT).max(least));
        let mut state = self.state();
        let fits = state.messages < beyond(self.limits.max_messages, MIN_OVERDRAFT.0)
            && state.bytes.saturating_add(text.len()) <= beyond(self.limits.max_bytes, MIN_OVERDRAFT.1);
        match fits {
            true => state.add(from, text, charge.map(Arc::new)),
            false => state.overflowed = true,
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

    /// For the owner: the next frame, of each sender in turn.
    pub(super) fn poll_pop(&self, cx: &mut Context<'_>) -> Poll<Utf8Bytes> {
        self.owner.register(cx.waker());
        let mut state = self.state();
        let state = &mut *state;
        let Some(sender) = state.turns.pop_front() else { return Poll::Pending };
        let Some(queue) = state.queues.get_mut(&sender) else { return Poll::Pending };
        let Some(Queued { text, _charge }) = queue.frames.pop_front() else { return Poll::Pending };
        queue.bytes -= text.len() + FRAME;
        match queue.frames.is_empty() {
            true => drop(state.queues.remove(&sender)),
            false => state.turns.push_back(sender),
        }
        state.messages -= 1;
        state.bytes -= text.len() + FRAME;
        state.rejected = false;
        Poll::Ready(text)
    }

    /// For the owner: whether the queue is full. Wakes the owner when it becomes so.
    pub(super) fn is_full(&self, cx: &mut Context<'_>) -> bool {
        self.owner.register(cx.waker());
        let state = self.state();
        state.rejected || self.limits.is_full(state.messages, state.bytes)
    }

    /// For the owner, whose id is `own`: whether its client leaves too many answers to its own requests unread.
    pub(super) fn owes_reading(&self, own: PeerId) -> bool {
        self.state().queues.get(&own).is_some_and(|queue| queue.frames.len() >= MAX_UNSENT_ANSWERS)
    }

    /// For the owner: whether not even a refusal fits any more, so that the connection must end.
    pub(super) fn is_overflowed(&self) -> bool {
        self.state().overflowed
    }

    pub(super) fn limits(&self) -> &QueueLimits {
        &self.limits
    }
}

impl State {
    fn add(&mut self, from: PeerId, text: Utf8Bytes, charge: Option<Arc<Charge>>) {
        let bytes = text.len() + FRAME;
        self.messages += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        let queue = self.queues.entry(from).or_default();
        let first = queue.frames.is_empty();
        queue.bytes = queue.bytes.saturating_add(bytes);
        queue.frames.push_back(Queued { text, _charge: charge });
        if first {
            self.turns.push_back(from);
        }
    }
}

/// A request that awaits a service's answer.
#[derive(Debug)]
pub(super) struct Record {
    /// Of the service that must answer.
    outbox: Arc<Outbox>,
    /// Paid by the requester.
    _charge: Charge,
}

impl Drop for Record {
    fn drop(&mut self) {
        self.outbox.records.fetch_sub(RECORD, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn outbox(limits: QueueLimits) -> Arc<Outbox> {
        Arc::new(Outbox::new(limits, SessionMemory::new(usize::MAX)))
    }

    fn push(outbox: &Outbox, from: PeerId, text: &str) -> bool {
        let charge = outbox.account().charge(text.len()).unwrap();
        outbox.push(from, text.to_owned().into(), Arc::new(charge)).is_ok()
    }

    fn pop(outbox: &Outbox) -> Option<String> {
        match outbox.poll_pop(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => Some(frame.as_str().to_owned()),
            Poll::Pending => None,
        }
    }

    fn is_full(outbox: &Outbox) -> bool {
        outbox.is_full(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn senders_take_turns() {
        let outbox = outbox(QueueLimits::default());
        for frame in ["a1", "a2", "a3"] {
            assert!(push(&outbox, 1, frame));
        }
        assert!(push(&outbox, 2, "b1"));
        let order: Vec<_> = std::iter::from_fn(|| pop(&outbox)).collect();
        assert_eq!(order, ["a1", "b1", "a2", "a3"]);
        assert!(outbox.state().queues.is_empty() && outbox.state().bytes == 0);
    }

    #[test]
    fn no_sender_fills_the_queue_of_the_others() {
        for limits in [QueueLimits::default().max_messages(8), QueueLimits::default().max_bytes(8 * (FRAME + 2))] {
            let outbox = outbox(limits);
            let first = (0..20).filter(|_| push(&outbox, 1, "xx")).count();
            assert_eq!(first, 4);
            assert!(is_full(&outbox));
            assert!(push(&outbox, 2, "xx"));
            pop(&outbox).unwrap();
            assert!(push(&outbox, 3, "xx") && !is_full(&outbox));
        }
    }

    #[test]
    fn an_empty_queue_accepts_a_frame_of_any_size() {
        let outbox = outbox(QueueLimits::default().max_bytes(4));
        assert!(push(&outbox, 1, &"x".repeat(100)) && !push(&outbox, 2, "x"));
        assert_eq!(pop(&outbox).unwrap().len(), 100);
    }

    #[test]
    fn requests_that_await_answers_count_like_queued_bytes() {
        let outbox = outbox(QueueLimits::default().max_bytes(4 * FRAME + RECORD));
        assert!(push(&outbox, 1, ""));
        let record = outbox.record(outbox.account().charge(RECORD).unwrap());
        let second = outbox.record(outbox.account().charge(RECORD).unwrap());
        assert!(!push(&outbox, 2, ""));
        drop((record, second));
        assert!(push(&outbox, 2, ""));
    }

    #[test]
    fn a_service_with_an_empty_queue_does_not_count_as_full() {
        let outbox = outbox(QueueLimits::default().max_messages(0));
        assert!(!push(&outbox, 1, "x") && !is_full(&outbox));
    }

    #[test]
    fn refusals_exceed_the_limits_slightly_and_then_the_connection_ends() {
        let outbox = outbox(QueueLimits::default().max_messages(1));
        assert!(push(&outbox, 1, "x") && !push(&outbox, 2, "x"));
        for _ in 0..MIN_OVERDRAFT.0 {
            assert!(!outbox.is_overflowed());
            outbox.push_refusal(1, "no".into(), None);
        }
        assert!(!outbox.is_overflowed() && outbox.owes_reading(1) && !outbox.owes_reading(2));
        outbox.push_refusal(1, "no".into(), None);
        assert!(outbox.is_overflowed());
    }
}
