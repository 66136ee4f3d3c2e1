//! A plugin behind a link: the state shared by callers, emitters and the link's supervisor.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{oneshot, watch};

use super::link_state::LinkState;
use super::link_state::{Activated, Connection, ConnectionEvent, Effects, Next};
use super::observer::{Interests, Observation};
use super::observers::Observers;
use super::options::PluginOptions;
use super::replicas::Membership;
use crate::connector::{LinkEnd, PluginConnector};
use crate::error::{CallError, LinkLost, Refusal};
use crate::excerpt::Excerpt;
use crate::link::{Outbox, PendingCall, Queued, Reply, Withdraw};
use crate::memory_budget::{Budget, OverBudget, SharedBudget};
use crate::plugin::Scope;
use crate::redact::redacted_url;
use crate::runtime::Task;
use crate::session::{CallId, CallIds};
use crate::sync::lock;
use crate::trace_limit::TraceLimit;
use crate::wire::{CallChain, JsonLimits, Name, Payload, RequestInfo};

/// A request to the link's task.
pub(super) enum EngineCommand {
    Call {
        id: CallId,
        method: Name,
        args: Payload,
        info: Box<RequestInfo>,
        scope: Option<Arc<Scope>>,
        reply: Reply,
    },
    Withdraw {
        id: CallId,
    },
    Notify {
        emitter: Name,
        event: Name,
        args: Payload,
    },
    /// Whether anybody listens to this event of a lent plugin may have changed.
    Listened {
        event: Name,
    },
    /// Further work waits for a call of a lent plugin: the first run is the call, the others wait.
    Await {
        runs: CallChain,
    },
}

impl From<Withdraw> for EngineCommand {
    fn from(Withdraw(id): Withdraw) -> EngineCommand {
        EngineCommand::Withdraw { id }
    }
}

impl Queued for EngineCommand {
    fn weight(&self, waits: bool) -> usize {
        match self {
            EngineCommand::Call { args, .. } | EngineCommand::Notify { args, .. } => args.held_bytes(waits),
            EngineCommand::Await { runs } => runs.bytes(),
            EngineCommand::Withdraw { .. } | EngineCommand::Listened { .. } => 0,
        }
    }

    fn emitter(&self) -> Option<&str> {
        match self {
            EngineCommand::Notify { emitter, .. } => Some(emitter),
            EngineCommand::Call { .. }
            | EngineCommand::Withdraw { .. }
            | EngineCommand::Listened { .. }
            | EngineCommand::Await { .. } => None,
        }
    }
}

/// Completes an activation.
type Waiter = oneshot::Sender<Activated>;

pub(super) struct RemotePlugin {
    pub(super) name: Name,
    /// Set for a replica.
    pub(super) membership: Option<Box<Membership>>,
    pub(super) url: String,
    /// The URL as shown in errors and traces.
    pub(super) redacted_url: String,
    pub(super) connector: tokio::sync::Mutex<Box<dyn PluginConnector>>,
    pub(super) outbox: Outbox<EngineCommand>,
    /// Written by [`transition`](Self::transition) only, as are the outbox's flags.
    pub(super) state: watch::Sender<LinkState>,
    connection: Mutex<Connection<Waiter>>,
    /// The task that keeps the link up, unless aborted, and a channel that closes with it.
    pub(super) supervisor: Mutex<Option<(Option<Task>, watch::Receiver<()>)>>,
    ids: CallIds,
    pub(super) observers: Arc<Observers>,
    json_limits: JsonLimits,
    /// Whether another engine lends it: set by the handshake.
    is_lent: AtomicBool,
    /// The ends of its links, and those that are up again. Separate, so that its other traces do not hide them.
    pub(super) link_traces: TraceLimit,
    /// Events that were dropped because too many were queued.
    dropped: TraceLimit,
    /// Its own events that were not stored because they exceed its budget.
    unstored: TraceLimit,
    /// Fields of its profile that it cannot update.
    ignored: TraceLimit,
}

impl RemotePlugin {
    pub(super) fn new(
        name: Name,
        url: String,
        mut connector: Box<dyn PluginConnector>,
        options: &PluginOptions,
        engine: &Arc<SharedBudget>,
        observers: &Arc<Observers>,
        membership: Option<Membership>,
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
            membership: membership.map(Box::new),
            connector: tokio::sync::Mutex::new(connector),
            outbox: Outbox::new(
                options.queue.clone(),
                Some(LinkEnd::Disconnected),
                Budget::new(options.memory_limit, Some(Arc::clone(engine))),
            ),
            state: watch::Sender::new(LinkState::Inactive),
            connection: Mutex::new(Connection::new()),
            supervisor: Mutex::default(),
            ids: CallIds::starting_at(0),
            observers: Arc::clone(observers),
            json_limits: options.json_limits(),
            is_lent: AtomicBool::new(false),
            link_traces: TraceLimit::per_peer(),
            dropped: TraceLimit::default(),
            unstored: TraceLimit::default(),
            ignored: TraceLimit::default(),
        }
    }

    /// Whether another engine lends it. If so, each call carries its chain.
    pub(super) fn is_lent(&self) -> bool {
        self.is_lent.load(Ordering::Relaxed)
    }

    /// Set by the handshake, before calls are sent.
    pub(super) fn set_lent(&self, is_lent: bool) {
        self.is_lent.store(is_lent, Ordering::Relaxed);
    }

    /// Calls a method over the link.
    ///
    /// # Errors
    /// The link is down, or the arguments exceed the limits of the plugin's JSON.
    pub(super) fn call(
        &self,
        method: Name,
        args: Payload,
        info: Box<RequestInfo>,
        scope: Option<Arc<Scope>>,
    ) -> Result<PendingCall<'_, EngineCommand>, CallError> {
        if let Err(why) = args.check(&self.json_limits) {
            let (target, caller) = (self.name.to_string(), info.from.to_string());
            return Err(Refusal::TooComplex { target, caller, method: method.to_string(), why: why.to_string() }.into());
        }
        let id = self.ids.allocate();
        let call = |reply| EngineCommand::Call { id, method, args, info, scope, reply };
        PendingCall::start(&self.outbox, id, call).map_err(|end| self.not_sent(end))
    }

    /// The error of a call that was not sent, which another replica may run.
    fn not_sent(&self, end: LinkEnd) -> CallError {
        match self.membership {
            Some(_) => self.stopping(),
            None => self.lost(end),
        }
    }

    /// The error of a call that is not sent because the plugin drains.
    pub(super) fn stopping(&self) -> CallError {
        Refusal::Stopping { target: self.name.to_string() }.into()
    }

    /// The name of the replica that this is the link of.
    pub(super) fn replica(&self) -> Option<&str> {
        self.membership.as_ref().map(|membership| &*membership.replica)
    }

    pub(super) fn lost(&self, end: LinkEnd) -> CallError {
        LinkLost::Observed { plugin: self.name.clone(), end }.into()
    }

    /// Forwards an event. If too many are queued, for example while the link is down, the oldest of the emitter with
    /// the most are dropped.
    pub(super) fn notify(&self, emitter: Name, event: Name, args: Payload) {
        let plugin = &*self.name;
        if let Err(why) = args.check(&self.json_limits) {
            if let Some(left_out) = self.dropped.pass() {
                tracing::warn!(plugin, %why, left_out, "an event is dropped");
            }
            return;
        }
        match self.outbox.push(EngineCommand::Notify { emitter, event, args }) {
            Ok(oldest) if oldest.is_empty() => {}
            Ok(oldest) => {
                if let Some(left_out) = self.dropped.pass() {
                    let dropped = oldest.len();
                    tracing::warn!(plugin, dropped, left_out, "too many events are queued: the oldest are dropped");
                }
            }
            Err(end) => {
                if let Some(left_out) = self.dropped.pass() {
                    tracing::warn!(plugin, left_out, end = %Excerpt::new(end), "an event is dropped");
                }
            }
        }
    }

    /// Tells the lender of the plugin that further work waits for a call.
    pub(super) fn awaited(&self, runs: CallChain) {
        // Without it a call may wait until its time is over, whereas too many would end the link.
        if self.outbox.backlog().0 < self.outbox.limits().capacity {
            // An error means that the link has ended, and with it the call.
            let _ = self.outbox.push(EngineCommand::Await { runs });
        }
    }

    /// Tells the lender of the plugin if the first subscription to one of its events has begun, or the last has ended.
    pub(super) fn listened(&self, event: Name) {
        // What is queued is looked up when it is sent.
        let is_queued =
            |one: &EngineCommand| matches!(one, EngineCommand::Listened { event: queued } if *queued == event);
        if self.is_lent() && !self.outbox.any(is_queued) {
            // A new link begins with all that are listened to.
            let _ = self.outbox.push(EngineCommand::Listened { event });
        }
    }

    /// One of its own events is delivered, but not stored.
    pub(super) fn trace_unstored(&self, why: &OverBudget) {
        if let Some(left_out) = self.unstored.pass() {
            tracing::warn!(plugin = &*self.name, %why, left_out, "an event is not stored for later subscribers");
        }
    }

    /// It has tried to update a field of its profile that only the host determines.
    pub(super) fn trace_ignored_field(&self, field: &str) {
        if let Some(left_out) = self.ignored.pass() {
            tracing::warn!(
                plugin = &*self.name,
                field,
                left_out,
                "only the host sets this field of a profile: ignored"
            );
        }
    }

    /// Those of its own, besides its entry's.
    pub(super) fn trace_limits(&self) -> [&TraceLimit; 4] {
        [&self.link_traces, &self.dropped, &self.unstored, &self.ignored]
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

    /// Applies an event to the connection. If the link is not up afterwards, ends the queued calls and `calls`, which
    /// are those of its session. Returns what the supervisor does next.
    pub(super) fn transition(&self, event: ConnectionEvent<Waiter>, calls: Vec<Reply>) -> Next {
        let begins = matches!(event, ConnectionEvent::Activate(_) | ConnectionEvent::Join);
        let stops = matches!(event, ConnectionEvent::Stop | ConnectionEvent::Leave);
        let (mut effects, mut lost, mut observed) = (None, None, None);
        // The public state is locked meanwhile, so that other threads see it and the queue agree. Watchers are woken
        // after, and what is replaced is dropped after.
        self.state.send_if_modified(|state| {
            let Effects { published, .. } = effects.insert(lock(&self.connection).transition(event));
            let Some(published) = published else { return false };
            let link_changed = |state: &LinkState| {
                if let Some(membership) = &self.membership {
                    membership.link_changed(state);
                }
            };
            // A replica is chosen only while its queue accepts calls.
            match published.down() {
                None => {
                    self.outbox.set_up();
                    link_changed(published);
                }
                Some(end) => {
                    link_changed(published);
                    lost = Some((self.outbox.set_down(end.clone()), end));
                }
            }
            mem::swap(state, published);
            observed = self.observers.want(Interests::LINK).then(|| state.clone());
            true
        });
        if let Some(state) = observed {
            self.observers.tell(&Observation::Link { plugin: &self.name, replica: self.replica(), state: &state });
        }
        if let Some(membership) = &self.membership {
            membership.publish();
        }
        // After the public state: a caller whose call fails may wait for the link to be up again.
        if let Some((queued, end)) = lost {
            self.end_calls(&end, queued, calls);
        }
        if begins {
            self.outbox.clear();
        }
        if stops {
            self.outbox.stop();
        }
        let Some(Effects { activated, next, .. }) = effects else { return Next::Nothing };
        if let Some((waiter, outcome)) = activated {
            // An error means that the activation was abandoned.
            let _ = waiter.send(outcome);
        }
        next
    }

    fn end_calls(&self, end: &LinkEnd, queued: Vec<EngineCommand>, calls: Vec<Reply>) {
        for reply in calls {
            // An error means that the caller has dropped the call.
            let _ = reply.send(Err(self.lost(end.clone())));
        }
        let mut events = 0;
        for command in queued {
            match command {
                EngineCommand::Call { reply, .. } => {
                    let _ = reply.send(Err(self.not_sent(end.clone())));
                }
                EngineCommand::Withdraw { .. } | EngineCommand::Listened { .. } | EngineCommand::Await { .. } => {}
                EngineCommand::Notify { .. } => events += 1,
            }
        }
        if events > 0 {
            tracing::warn!(plugin = &*self.name, dropped = events, "events beyond the queue's capacity are dropped");
        }
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
        self.transition(ConnectionEvent::Reset, Vec::new());
    }
}
