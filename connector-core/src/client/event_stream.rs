//! Events as a stream.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::task::AtomicWaker;

use super::PluginClient;
use crate::error::CallError;
use crate::plugin::{Parameters, Rest};
use crate::sync::lock;
use crate::wire::{Payload, PayloadError};

/// An item of an [`EventStream`].
#[derive(Debug)]
pub enum Event<T = Rest> {
    /// The event's arguments.
    Args(T),
    /// An event with arguments of other types, and the mismatch. More events may follow.
    Unreadable(PayloadError),
    /// The number of events dropped because the stream was full: `capacity` events, or 64 MiB. Reported after the
    /// buffered events.
    Missed(u64),
}

/// The occurrences of one event, in order: see [`PluginClient::events`]. `T` is a tuple such as `(i64, String)`, or
/// [`Rest`] for any arguments, unparsed. Arguments are parsed when an item is taken.
///
/// The stream ends with its subscription: with [`off`](PluginClient::off) for the event, the plugin's deactivation, or,
/// behind a link, the link. Buffered events are delivered first. Dropping the stream ends only this subscription.
#[derive(Debug)]
#[must_use = "dropping it ends the subscription"]
pub struct EventStream<T = Rest> {
    client: PluginClient,
    emitter: String,
    event: String,
    subscription: u64,
    shared: Arc<Shared>,
    reads: PhantomData<fn() -> T>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    reader: AtomicWaker,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Payload, usize)>,
    bytes: usize,
    missed: u64,
    ended: bool,
}

impl<T: Parameters> EventStream<T> {
    pub(super) fn new(
        client: PluginClient,
        emitter: &str,
        event: &str,
        capacity: usize,
    ) -> Result<EventStream<T>, CallError> {
        let shared =
            Arc::new(Shared { queue: Mutex::default(), reader: AtomicWaker::new(), capacity: capacity.max(1) });
        let sink = Sink(Arc::clone(&shared));
        let push = move |args: &Payload| {
            sink.0.push(args.clone());
            Ok(())
        };
        let subscription = client.listen_separately(emitter, event, Arc::new(push))?;
        let (emitter, event) = (emitter.to_owned(), event.to_owned());
        Ok(EventStream { client, emitter, event, subscription, shared, reads: PhantomData })
    }

    /// The next event; `None` after the end of the subscription. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event<T>> {
        self.next().await
    }
}

/// What a stream buffers at most, in bytes.
const MAX_BYTES: usize = 64 << 20;

/// The listener's end. The stream ends when this is dropped, with the subscription or the link.
struct Sink(Arc<Shared>);

impl Drop for Sink {
    fn drop(&mut self) {
        lock(&self.0.queue).ended = true;
        self.0.reader.wake();
    }
}

impl Shared {
    fn push(&self, args: Payload) {
        // Determined before locking, because a value's `Serialize` may do anything, and only if it must wait.
        let waits = !lock(&self.queue).waiting.is_empty();
        let size = if waits { args.size() } else { args.weight() };
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

    /// Missed events are reported after the events buffered before them.
    fn pop<T: Parameters>(&self) -> Poll<Option<Event<T>>> {
        let mut queue = lock(&self.queue);
        if let Some((args, size)) = queue.waiting.pop_front() {
            queue.bytes -= size;
            drop(queue);
            return Poll::Ready(Some(T::from_args(args).map_or_else(Event::Unreadable, Event::Args)));
        }
        match std::mem::take(&mut queue.missed) {
            0 if queue.ended => Poll::Ready(None),
            0 => Poll::Pending,
            missed => Poll::Ready(Some(Event::Missed(missed))),
        }
    }
}

impl<T: Parameters> Stream for EventStream<T> {
    type Item = Event<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event<T>>> {
        self.shared.reader.register(cx.waker());
        self.shared.pop()
    }
}

impl<T> Drop for EventStream<T> {
    fn drop(&mut self) {
        self.client.end_subscription(&self.emitter, &self.event, self.subscription);
    }
}
