//! STP services as plugins, and plugins as STP services.

mod convert;
mod offer;
mod plugin;

pub use offer::{StpOffer, StpOfferError, StpOffered};
pub use plugin::StpPlugin;

use std::future::Future;
use std::sync::Arc;

use futures_util::stream::{BoxStream, SelectAll, StreamExt};
use tokio::sync::mpsc;

use self::convert::message_of;
use super::connector::StpConnector;
use super::error::StpInformError;
use super::handlers::InformHandler;
use super::timeout::StpTimeout;
use crate::client::{Event, PluginClient};
use crate::error::CallError;
use crate::excerpt::Excerpt;
use crate::trace_limit::TraceLimit;

/// Capacity for informs waiting for the engine, and for events of each kind waiting for STP. Overflow is dropped and
/// traced.
const CAPACITY: usize = 1024;

/// Engine events forwarded to STP, by name.
type Events = SelectAll<BoxStream<'static, (String, Event)>>;

/// Subscribes to the named events on behalf of `client`.
fn events<'a>(
    client: &PluginClient,
    named: impl IntoIterator<Item = &'a (String, String)>,
) -> Result<Events, CallError> {
    let mut all = SelectAll::new();
    for (emitter, event) in named {
        let stream = client.events(emitter, event, CAPACITY)?;
        let event = event.clone();
        all.push(stream.map(move |what| (event.clone(), what)).boxed());
    }
    Ok(all)
}

/// Redirects informs to a queue: the connector's handler must not wait.
fn informs(connector: &dyn StpConnector) -> mpsc::Receiver<String> {
    let (queue, informs) = mpsc::channel(CAPACITY);
    let drops = TraceLimit::default();
    connector.on_inform(InformHandler::new(move |message| {
        if queue.try_send(message).is_err()
            && let Some(left_out) = drops.pass()
        {
            tracing::warn!(left_out, "an inform is dropped: the queue of {CAPACITY} is full");
        }
    }));
    informs
}

/// Forwards informs in one direction and events in the other, until dropped.
async fn pump<F: Future<Output = ()>>(
    connector: Arc<dyn StpConnector>,
    mut informs: mpsc::Receiver<String>,
    mut events: Events,
    on_inform: impl Fn(String) -> F,
) {
    let informs_to_engine = async {
        while let Some(message) = informs.recv().await {
            on_inform(message).await;
        }
    };
    let traces = TraceLimit::default();
    let events_to_stp = async {
        while let Some((event, what)) = events.next().await {
            match what {
                Event::Args(args) => send_event(&*connector, &event, &args.0, &traces).await,
                Event::Unreadable(error) => not_sent(&event, &error, &traces),
                Event::Missed(missed) => {
                    if let Some(left_out) = traces.pass() {
                        let event = Excerpt::new(event);
                        tracing::warn!(?event, missed, left_out, "events were dropped: STP accepts them too slowly");
                    }
                }
            }
        }
    };
    futures_util::future::join(informs_to_engine, events_to_stp).await;
}

async fn send_event(connector: &dyn StpConnector, event: &str, args: &[crate::wire::Payload], traces: &TraceLimit) {
    let message = match message_of(event, args) {
        Ok(message) => message,
        Err(error) => return not_sent(event, &error, traces),
    };
    match connector.inform(&message, StpTimeout::default()).await {
        Ok(()) => {}
        Err(StpInformError::NotConnected) => {
            tracing::debug!(event = ?Excerpt::new(event), "an event is dropped: STP is not connected");
        }
        Err(error) => not_sent(event, &error, traces),
    }
}

fn not_sent(event: &str, error: &dyn std::fmt::Display, traces: &TraceLimit) {
    if let Some(left_out) = traces.pass() {
        let (event, error) = (Excerpt::new(event), Excerpt::new(error));
        tracing::warn!(?event, left_out, %error, "an event is not sent to STP");
    }
}
