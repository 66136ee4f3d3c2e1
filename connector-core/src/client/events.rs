//! Events as a stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;
use futures_util::task::AtomicWaker;

use super::PluginClient;
use crate::error::CallError;
use crate::plugin::{Rest, callback};
use crate::sync::lock;

/// What an [`EventStream`] gives.
#[derive(Debug)]
pub enum Event {
    /// The event's arguments.
    Args(Rest),
    /// So many events came while the stream was full; they are gone.
    Missed(u64),
}

/// Occurrences of one event, in order. It ends when its subscription does: with [`off`](PluginClient::off) of the event,
/// the plugin's deactivation, or, behind a link, the link. Dropping it ends this subscription and no other.
#[derive(Debug)]
pub struct EventStream {
    client: PluginClient,
    emitter: String,
    event: String,
    subscription: u64,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    reader: AtomicWaker,
    room: usize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Rest>,
    missed: u64,
    ended: bool,
}

impl EventStream {
    pub(super) fn new(client: PluginClient, emitter: &str, event: &str, room: usize) -> Result<EventStream, CallError> {
        let shared = Arc::new(Shared { queue: Mutex::default(), reader: AtomicWaker::new(), room: room.max(1) });
        let sink = Sink(Arc::clone(&shared));
        let subscription = client.listen_apart(emitter, event, callback(move |args: Rest| sink.0.push(args)))?;
        Ok(EventStream { client, emitter: emitter.to_owned(), event: event.to_owned(), subscription, shared })
    }

    /// The next event; `None` once no more can come. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event> {
        self.next().await
    }
}

/// The listener's end: the stream ends when it is dropped, with the subscription or with the link.
struct Sink(Arc<Shared>);

impl Drop for Sink {
    fn drop(&mut self) {
        lock(&self.0.queue).ended = true;
        self.0.reader.wake();
    }
}

impl Shared {
    fn push(&self, args: Rest) {
        let mut queue = lock(&self.queue);
        match queue.waiting.len() < self.room {
            true => queue.waiting.push_back(args),
            false => queue.missed += 1,
        }
        drop(queue);
        self.reader.wake();
    }

    /// What was missed is told after what waited before it.
    fn pop(&self) -> Poll<Option<Event>> {
        let mut queue = lock(&self.queue);
        if let Some(args) = queue.waiting.pop_front() {
            return Poll::Ready(Some(Event::Args(args)));
        }
        match std::mem::take(&mut queue.missed) {
            0 if queue.ended => Poll::Ready(None),
            0 => Poll::Pending,
            missed => Poll::Ready(Some(Event::Missed(missed))),
        }
    }
}

impl Stream for EventStream {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.shared.reader.register(cx.waker());
        self.shared.pop()
    }
}

impl Drop for EventStream {
    fn drop(&mut self) {
        self.client.end_subscription(&self.emitter, &self.event, self.subscription);
    }
}
