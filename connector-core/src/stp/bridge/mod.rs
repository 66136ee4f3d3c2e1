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
    connector.on_inform(InformHandler::new(move |message| {
        if queue.try_send(message).is_err() {
            tracing::warn!("an inform is dropped: the queue of {CAPACITY} is full");
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
    let events_to_stp = async {
        while let Some((event, what)) = events.next().await {
            match what {
                Event::Args(args) => send_event(&*connector, &event, &args.0).await,
                Event::Unreadable(error) => tracing::warn!(event, %error, "an event cannot be sent to STP"),
                Event::Missed(missed) => {
                    tracing::warn!(event, missed, "events were dropped: STP accepts them too slowly")
                }
            }
        }
    };
    futures_util::future::join(informs_to_engine, events_to_stp).await;
}

async fn send_event(connector: &dyn StpConnector, event: &str, args: &[crate::wire::Payload]) {
    let message = match message_of(event, args) {
        Ok(message) => message,
        Err(error) => return tracing::warn!(event, %error, "an event cannot be sent to STP"),
    };
    match connector.inform(&message, StpTimeout::default()).await {
        Ok(()) => {}
        Err(StpInformError::NotConnected) => tracing::debug!(event, "an event is dropped: STP is not connected"),
        Err(error) => tracing::warn!(event, %error, "an event is not sent to STP"),
    }
}
