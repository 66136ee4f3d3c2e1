//! One direction of a link: a bounded queue from one thread to another.
//!
//! Each end has a private batch of messages and takes the lock once per batch, so that many messages cost one wake-up.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use connector_core::Message;

use crate::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, PoisonError};

/// Maximum number of messages in a writer's batch before it is handed over without a flush.
const BURST: usize = 64;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    // PERF: docs/performance.md, "atomic operations": an idle pipe is not locked, 2.39 → 2.29 µs with others.
    /// Whether the reader waits: its waker is registered, and nothing has arrived since. Changed under the lock.
    waits: AtomicBool,
    /// Whether messages are queued. Changed under the lock.
    has_queued: AtomicBool,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Message>,
    /// The size of the queued messages.
    bytes: usize,
    written: Written,
    reader_gone: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The state of the writer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Written {
    #[default]
    Open,
    /// Closed gracefully.
    Closed,
    /// Dropped without a close.
    Dropped,
}

/// How much a pipe queues before its writer waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Capacity {
    /// 0 means 1.
    pub(crate) messages: usize,
    /// The message that reaches it is queued whole. 0 means 1.
    pub(crate) bytes: usize,
}

impl Capacity {
    /// How much fits into a writer's batch beside what is queued; nothing if one of the two is used up.
    fn beside(self, messages: usize, bytes: usize) -> Capacity {
        let messages = self.messages.max(1).saturating_sub(messages).min(BURST);
        Capacity { messages, bytes: self.bytes.max(1).saturating_sub(bytes) }
    }

    fn is_used_up(self, messages: usize, bytes: usize) -> bool {
        messages >= self.messages || bytes >= self.bytes
    }
}

pub(crate) fn pipe(capacity: Capacity) -> (Writer, Reader) {
    let shared = Arc::new(Shared::default());
    let takes = capacity.beside(0, 0);
    let writer = Writer { shared: Arc::clone(&shared), capacity, batch: VecDeque::new(), bytes: 0, takes };
    (writer, Reader { shared, inbox: VecDeque::new(), waker: None })
}

impl Shared {
    /// Nothing that runs under the lock can panic and leave it inconsistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reader's waker, if the reader waits.
    fn reader(&self, state: &mut State) -> Option<Waker> {
        self.waits.store(false, Ordering::Release);
        state.reader.take()
    }
}

pub(crate) struct Writer {
    shared: Arc<Shared>,
    capacity: Capacity,
    /// Messages not handed over yet. The queue has capacity for them.
    batch: VecDeque<Message>,
    /// The size of `batch`.
    bytes: usize,
    /// How much `batch` may hold before the queue must be checked.
    takes: Capacity,
}

impl Writer {
    /// Ready when another message may be pushed. Stays pending once the reader is gone: the other pipe reports the end.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.takes.is_used_up(self.batch.len(), self.bytes) {
            return Poll::Ready(());
        }
        self.hand_over(Some(cx));
        if self.takes.is_used_up(0, 0) { Poll::Pending } else { Poll::Ready(()) }
    }

    pub(crate) fn push(&mut self, message: Message) {
        // Measuring visits the whole value, so one that waits behind no other message is not measured.
        let waits_behind_others = !self.batch.is_empty() || self.shared.has_queued.load(Ordering::Relaxed);
        self.bytes = self.bytes.saturating_add(message.held_bytes(waits_behind_others));
        self.batch.push_back(message);
    }

    pub(crate) fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.hand_over(None);
        }
    }

    /// Hands over the batch and closes the pipe.
    pub(crate) fn close(&mut self) {
        self.flush();
        self.end(Written::Closed);
    }

    fn hand_over(&mut self, waiting: Option<&mut Context<'_>>) {
        let mut state = self.shared.lock();
        if state.reader_gone {
            self.takes = Capacity { messages: 0, bytes: 0 };
            drop(state);
            self.batch.clear();
            return;
        }
        state.bytes = state.bytes.saturating_add(std::mem::take(&mut self.bytes));
        match state.queue.is_empty() {
            true => std::mem::swap(&mut state.queue, &mut self.batch),
            false => state.queue.append(&mut self.batch),
        }
        self.takes = self.capacity.beside(state.queue.len(), state.bytes);
        if let Some(cx) = waiting
            && self.takes.is_used_up(0, 0)
        {
            state.writer = Some(cx.waker().clone());
        }
        let reader = if state.queue.is_empty() { None } else { self.shared.reader(&mut state) };
        self.shared.has_queued.store(!state.queue.is_empty(), Ordering::Relaxed);
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }

    fn end(&self, how: Written) {
        let mut state = self.shared.lock();
        if state.written == Written::Open {
            state.written = how;
        }
        let wakers = (self.shared.reader(&mut state), state.writer.take());
        drop(state);
        wakers.0.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.end(Written::Dropped);
    }
}

pub(crate) struct Reader {
    shared: Arc<Shared>,
    inbox: VecDeque<Message>,
    /// The waker that was registered last.
    waker: Option<Waker>,
}

impl Reader {
    /// The next message; after the last one, how the writer ended.
    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Message, Written>> {
        if let Some(message) = self.inbox.pop_front() {
            return Poll::Ready(Ok(message));
        }
        let same = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if same && self.shared.waits.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let mut state = self.shared.lock();
        if state.queue.is_empty() {
            if state.written != Written::Open {
                return Poll::Ready(Err(state.written));
            }
            state.reader = Some(cx.waker().clone());
            self.shared.waits.store(true, Ordering::Release);
            drop(state);
            if !same {
                self.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        std::mem::swap(&mut state.queue, &mut self.inbox);
        state.bytes = 0;
        self.shared.has_queued.store(false, Ordering::Relaxed);
        let writer = state.writer.take();
        drop(state);
        writer.into_iter().for_each(Waker::wake);
        self.poll_message(cx)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.reader_gone = true;
        // A message may own anything, so it is dropped without holding the lock.
        let unread = std::mem::take(&mut state.queue);
        let wakers = (self.shared.reader(&mut state), state.writer.take());
        drop(state);
        drop((unread, wakers));
    }
}
