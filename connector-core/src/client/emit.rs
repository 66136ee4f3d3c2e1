//! Emitting events, without or with waiting for their subscribers.

use std::time::Duration;

use super::{Location, PluginClient};
use crate::error::CallError;
use crate::plugin::IntoArgs;

impl PluginClient {
    /// Emits an event to all its subscribers, without waiting for them: a subscriber that is too slow misses events.
    /// Behind a link this waits while the link's own queue is full. In the engine's process it never waits;
    /// [`emit_within`](PluginClient::emit_within) does.
    ///
    /// Cancel safe: if the future is dropped while it waits, the event is not emitted.
    ///
    /// # Errors
    /// The plugin is not active, or its link is down or has not completed its handshake.
    pub async fn emit(
        &self,
        event: &str,
        args: impl IntoArgs, // of values that own what they hold: `(text.to_owned(),)`, not `(&text,)`
    ) -> Result<(), CallError> {
        match &self.location {
            Location::Local { .. } => {
                let (engine, entry) = self.engine("emit")?;
                engine.emit(&entry, event, args.into_args()).map_err(CallError::from)
            }
            Location::Remote(remote) => remote.emit(event, args.into_args()).await,
        }
    }

    /// Like [`emit`](PluginClient::emit), but slows an emitter in the engine's process down to the pace of its
    /// subscribers: waits for up to `limit` until each has capacity, and then emits. A subscriber that still has none
    /// misses events, as with `emit`, so it can delay the emitter and the other subscribers by at most `limit`.
    ///
    /// A stream in the engine's process has capacity while it buffers less than its `capacity` events and less than 32
    /// MiB. A plugin behind a link has capacity while its queue holds less than
    /// [`QueueLimits::capacity`](crate::QueueLimits#structfield.capacity) events of this emitter, which may occupy a
    /// quarter of what its [`memory_limit`](crate::PluginOptions#structfield.memory_limit) leaves for messages that wait;
    /// other emitters' events do not count. A link that is down is not waited for. Callbacks of [`on`](PluginClient::on)
    /// run during the emission and need no capacity.
    ///
    /// Behind a link, the engine never waits for subscribers, and `limit` applies to the wait for the link's own queue.
    ///
    /// Cancel safe: if the future is dropped while it waits, the event is not emitted. Events that one task emits one
    /// after another keep their order.
    ///
    /// # Errors
    /// Like [`emit`](PluginClient::emit), also at once if the plugin is deactivated meanwhile. Behind a link also
    /// [`CallError::TimedOut`], if the link's own queue remained full; the event is then not emitted.
    pub async fn emit_within(
        &self,
        limit: Duration,
        event: &str,
        args: impl IntoArgs, // of values that own what they hold: `(text.to_owned(),)`, not `(&text,)`
    ) -> Result<(), CallError> {
        match &self.location {
            Location::Local { .. } => {
                let (_, entry) = self.engine("emit")?;
                entry.wait_for_subscribers(event, limit).await?;
                self.emit(event, args).await
            }
            Location::Remote(remote) => remote.emit_within(limit, event, args.into_args()).await,
        }
    }
}
