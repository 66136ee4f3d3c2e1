//! An emitter in the engine's process waits for its subscribers: see [`emit_within`](crate::PluginClient::emit_within).

use std::sync::Arc;

use super::entry::Entry;
use super::remote::RemotePlugin;
use crate::client::EventBuffer;

/// Where events wait for a subscriber.
pub(super) enum EventQueue {
    Stream(Arc<EventBuffer>),
    Link(Arc<RemotePlugin>),
}

impl Entry {
    /// Waits until each subscriber of its event has capacity for another. Cancel safe.
    pub(crate) async fn wait_for_subscribers(&self, event: &str) {
        for queue in self.emitter.queues(event) {
            match queue {
                EventQueue::Stream(buffer) => buffer.wait_for_capacity().await,
                EventQueue::Link(remote) => remote.outbox.wait_for_event_capacity(&self.name).await,
            }
        }
    }
}
