//! An emitter in the engine's process waits for its subscribers: see [`emit_within`](crate::PluginClient::emit_within).

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::select;

use super::entry::Entry;
use super::remote::RemotePlugin;
use super::router::may_act;
use crate::client::EventBuffer;
use crate::error::Refusal;
use crate::link::wait_while;
use crate::runtime;

/// Where events wait for a subscriber.
pub(super) enum EventQueue {
    Stream(Arc<EventBuffer>),
    Link(Arc<RemotePlugin>),
}

impl Entry {
    /// Waits until each subscriber of its event has capacity for another, but no longer than `limit`. Cancel safe.
    ///
    /// # Errors
    /// The plugin is not active, or was deactivated meanwhile.
    pub(crate) async fn wait_for_subscribers(&self, event: &str, limit: Duration) -> Result<(), Refusal> {
        let what = || format!("It cannot emit the event {event}");
        may_act(self, what)?;
        let activation = self.activation();
        let capacity = async {
            for queue in self.emitter.queues(event) {
                match queue {
                    EventQueue::Stream(buffer) => buffer.wait_for_capacity().await,
                    EventQueue::Link(remote) => remote.outbox.wait_for_event_capacity(&self.name).await,
                }
            }
        };
        let deactivated = wait_while(&self.deactivated, || self.activation() == activation);
        // Subscribers that remain full drop events.
        let _ = runtime::timeout(limit, pin!(select(pin!(capacity), pin!(deactivated)))).await;
        match self.activation() == activation {
            true => Ok(()),
            false => Err(Refusal::Deactivated { name: self.name.to_string(), what: what() }),
        }
    }
}
