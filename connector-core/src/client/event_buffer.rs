//! The buffer between a subscription and the reader of its [`EventStream`](super::EventStream).

use std::collections::VecDeque;
use std::mem;
use std::sync::Mutex;
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

use super::Event;
use crate::link::wait_while;
use crate::plugin::Parameters;
use crate::sync::lock;
use crate::wire::Payload;

#[derive(Debug)]
pub(crate) struct EventBuffer {
    queue: Mutex<Queue>,
    reader: AtomicWaker,
    capacity: usize,
    capacity_freed: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Payload, usize)>,
    bytes: usize,
    missed: u64,
    ended: bool,
    /// An emitter has found the buffer full and may be waiting for capacity.
    was_full: bool,
}

/// What a stream buffers at most, in bytes.
const MAX_BYTES: usize = 64 << 20;

impl EventBuffer {
    pub(super) fn new(capacity: usize) -> EventBuffer {
        EventBuffer {
            queue: Mutex::default(),
            reader: AtomicWaker::new(),
            capacity: capacity.max(1),
            capacity_freed: Notify::new(),
        }
    }

    /// Adds an event, or counts it as missed if the buffer is full.
    pub(super) fn push(&self, args: Payload) {
        // Determined before locking, because a value's `Serialize` may do anything, and only if it must wait.
        let waits = !lock(&self.queue).waiting.is_empty();
        let size = args.held_bytes(waits);
        let mut queue = lock(&self.queue);
        let fits = queue.bytes.saturating_add(size) <= MAX_BYTES || queue.waiting.is_empty();
        let dropped = if fits && queue.waiting.len() < self.capacity {
            queue.bytes = queue.bytes.saturating_add(size);
            queue.waiting.push_back((args, size));
            None
        } else {
            queue.missed += 1;
            Some(args)
        };
        drop(queue);
        drop(dropped);
        self.reader.wake();
    }

    /// No further events follow.
    pub(super) fn end(&self) {
        lock(&self.queue).ended = true;
        self.reader.wake();
        self.capacity_freed.notify_waiters();
    }

    pub(super) fn poll_next<T: Parameters>(&self, cx: &mut Context<'_>) -> Poll<Option<Event<T>>> {
        self.reader.register(cx.waker());
        let mut queue = lock(&self.queue);
        // Missed events are reported after the events buffered before them.
        if let Some((args, size)) = queue.waiting.pop_front() {
            queue.bytes -= size;
            let was_full = mem::take(&mut queue.was_full);
            drop(queue);
            if was_full {
                self.capacity_freed.notify_waiters();
            }
            return Poll::Ready(Some(T::from_args(args).map_or_else(Event::Unreadable, Event::Args)));
        }
        match mem::take(&mut queue.missed) {
            0 if queue.ended => Poll::Ready(None),
            0 => Poll::Pending,
            missed => Poll::Ready(Some(Event::Missed(missed))),
        }
    }

    /// Waits until the buffer has capacity for another event, or the subscription has ended. Cancel safe.
    pub(crate) async fn wait_for_capacity(&self) {
        wait_while(&self.capacity_freed, || self.is_full()).await;
    }

    fn is_full(&self) -> bool {
        let mut queue = lock(&self.queue);
        // The size of the next event is unknown; half of the bytes are left for it.
        let full = queue.waiting.len() >= self.capacity || queue.bytes >= MAX_BYTES / 2;
        queue.was_full |= full;
        full && !queue.ended
    }
}
