//! A plugin behind a link: the state shared by callers, emitters and the link's supervisor.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use tokio::sync::watch;

use super::options::PluginOptions;
use crate::connector::{LinkEnd, PluginConnector};
use crate::error::{CallError, LinkLost};
use crate::link::{Outbox, PendingCall, Queued, Reply, Withdraw};
use crate::redact::redacted_url;
use crate::runtime::Task;
use crate::sync::lock;
use crate::wire::{Name, Payload, RequestInfo};

/// A request to the link's task.
pub(super) enum EngineCommand {
    Call { id: i64, method: Name, args: Payload, info: Box<RequestInfo>, reply: Reply },
    Withdraw { id: i64 },
    Notify { emitter: Name, event: Name, args: Payload },
}

impl From<Withdraw> for EngineCommand {
    fn from(Withdraw(id): Withdraw) -> EngineCommand {
        EngineCommand::Withdraw { id }
    }
}

impl Queued for EngineCommand {
    fn weight(&self) -> usize {
        match self {
            EngineCommand::Call { args, .. } | EngineCommand::Notify { args, .. } => args.weight(),
            EngineCommand::Withdraw { .. } => 0,
        }
    }

    fn survives_loss(&self) -> bool {
        matches!(self, EngineCommand::Notify { .. })
    }
}

/// The state of a plugin's link.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LinkState {
    /// The plugin is not active, so there is no link.
    Inactive,
    /// The first link since activation is being made.
    Connecting,
    /// The link is up and the handshake complete.
    Up,
    /// The link is down. The engine keeps reconnecting until the link is up or the plugin is deactivated, unless `why`
    /// is [`LinkEnd::Unreachable`] with a [`ConnectError::GivenUp`](crate::ConnectError::GivenUp): then the link stays down until the plugin is deactivated and activated again.
    Down {
        /// How the link ended, or why the last attempt failed.
        why: LinkEnd,
        /// The number of failed attempts since.
        tries: u32,
    },
}

impl LinkState {
    /// Whether calls reach the plugin.
    pub fn is_up(&self) -> bool {
        matches!(self, LinkState::Up)
    }
}

impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkState::Inactive => f.write_str("inactive"),
            LinkState::Connecting => f.write_str("connecting"),
            LinkState::Up => f.write_str("up"),
            LinkState::Down { why, tries } => write!(f, "down ({why}); tries since: {tries}"),
        }
    }
}

pub(super) struct RemotePlugin {
    pub(super) name: Name,
    pub(super) url: String,
    /// The URL as shown in errors and traces.
    pub(super) redacted_url: String,
    pub(super) connector: tokio::sync::Mutex<Box<dyn PluginConnector>>,
    pub(super) outbox: Outbox<EngineCommand>,
    pub(super) state: watch::Sender<LinkState>,
    /// The task that keeps the link up, unless aborted, and a channel that closes with it.
    pub(super) supervisor: Mutex<Option<(Option<Task>, watch::Receiver<()>)>>,
    next_id: AtomicI64,
}

impl RemotePlugin {
    pub(super) fn new(
        name: Name,
        url: String,
        mut connector: Box<dyn PluginConnector>,
        options: &PluginOptions,
    ) -> RemotePlugin {
        connector.registered(&name);
        let url = match &options.transform_url {
            Some(transform) => transform(&name, &url),
            None => crate::profile::transform_url(&name, &url),
        };
        RemotePlugin {
            redacted_url: redacted_url(&url),
            url,
            name,
            connector: tokio::sync::Mutex::new(connector),
            outbox: Outbox::new(options.queue.clone(), Some(LinkEnd::Disconnected)),
            state: watch::Sender::new(LinkState::Inactive),
            supervisor: Mutex::default(),
            next_id: AtomicI64::new(0),
        }
    }

    /// Calls a method over the link.
    ///
    /// # Errors
    /// The link is down.
    pub(super) fn call(
        &self,
        method: Name,
        args: Payload,
        info: Box<RequestInfo>,
    ) -> Result<PendingCall<'_, EngineCommand>, CallError> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let call = |reply| EngineCommand::Call { id, method, args, info, reply };
        PendingCall::start(&self.outbox, id, call).map_err(|end| self.lost(end))
    }

    pub(super) fn lost(&self, end: LinkEnd) -> CallError {
        LinkLost::Seen { plugin: self.name.clone(), end }.into()
    }

    /// Forwards an event. While the link is down it is kept, up to a limit.
    pub(super) fn notify(&self, emitter: Name, event: Name, args: Payload) {
        let plugin = &*self.name;
        match self.outbox.push(EngineCommand::Notify { emitter, event, args }) {
            Ok(oldest) if oldest.is_empty() => {}
            Ok(oldest) => {
                tracing::warn!(
                    plugin,
                    dropped = oldest.len(),
                    "the link is down and its queue is full: dropping its oldest events"
                )
            }
            Err(end) => tracing::warn!(plugin, %end, "an event is dropped"),
        }
    }

    /// Whether an occurrence of the event is queued for the link.
    pub(super) fn has_queued_event(&self, emitter: &str, event: &str) -> bool {
        self.outbox.any(|command| match command {
            EngineCommand::Notify { emitter: queued_emitter, event: name, .. } => {
                queued_emitter == emitter && name == event
            }
            _ => false,
        })
    }

    /// The link is gone: ends the calls in `waiting` and the queued ones.
    pub(super) fn set_down(&self, end: &LinkEnd, waiting: Vec<Reply>) {
        let mut events = 0;
        let queued = self.outbox.set_down(end.clone()).into_iter().filter_map(|command| match command {
            EngineCommand::Call { reply, .. } => Some(reply),
            EngineCommand::Withdraw { .. } => None,
            EngineCommand::Notify { .. } => {
                events += 1;
                None
            }
        });
        for reply in waiting.into_iter().chain(queued) {
            // An error means that the caller has dropped the call.
            let _ = reply.send(Err(self.lost(end.clone())));
        }
        if events > 0 {
            tracing::warn!(plugin = &*self.name, dropped = events, "events beyond the queue's capacity are dropped");
        }
    }

    /// Drops everything queued: a new activation starts empty.
    pub(super) fn forget(&self) {
        self.set_down(&LinkEnd::Disconnected, Vec::new());
        self.outbox.clear();
    }

    /// Whether the supervisor has ended.
    pub(super) fn has_no_task(&self) -> bool {
        lock(&self.supervisor).as_ref().is_none_or(|(_, ended)| ended.has_changed().is_err())
    }

    /// Ends everything at once, without notifying the plugin.
    pub(super) fn abort(&self) {
        // The task may be running on another thread. It can still be awaited, and cleans up after itself.
        let task = lock(&self.supervisor).as_mut().and_then(|(task, _)| task.take());
        drop(task);
        self.set_down(&LinkEnd::Disconnected, Vec::new());
        self.state.send_replace(LinkState::Inactive);
    }
}
