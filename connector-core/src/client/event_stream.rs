//! Events as a stream.

use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_util::StreamExt;

use super::PluginClient;
use super::event_buffer::EventBuffer;
use crate::error::CallError;
use crate::plugin::{Parameters, Rest};
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
    buffer: Arc<EventBuffer>,
    reads: PhantomData<fn() -> T>,
}

impl<T: Parameters> EventStream<T> {
    pub(super) fn new(
        client: PluginClient,
        emitter: &str,
        event: &str,
        capacity: usize,
    ) -> Result<EventStream<T>, CallError> {
        let buffer = Arc::new(EventBuffer::new(capacity));
        let sink = Sink(Arc::clone(&buffer));
        let push = move |args: &Payload| {
            sink.0.push(args.clone());
            Ok(())
        };
        let subscription = client.listen_separately(emitter, event, Arc::new(push), &buffer)?;
        let (emitter, event) = (emitter.to_owned(), event.to_owned());
        Ok(EventStream { client, emitter, event, subscription, buffer, reads: PhantomData })
    }

    /// The next event; `None` after the end of the subscription. Cancel safe.
    pub async fn recv(&mut self) -> Option<Event<T>> {
        self.next().await
    }
}

/// The listener's end. The stream ends when this is dropped, with the subscription or the link.
struct Sink(Arc<EventBuffer>);

impl Drop for Sink {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T: Parameters> Stream for EventStream<T> {
    type Item = Event<T>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event<T>>> {
        self.buffer.poll_next(cx)
    }
}

impl<T> Drop for EventStream<T> {
    fn drop(&mut self) {
        self.client.end_subscription(&self.emitter, &self.event, self.subscription);
    }
}
