//! A plugin behind a link: the state that its handles share with the task that owns the link.

use std::cell::Cell;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use foldhash::HashMap;
use tokio::sync::watch;

use super::ClientConfig;
use crate::connector::LinkEnd;
use crate::error::{CallError, Fault, LinkLost, Refusal};
use crate::excerpt::{Excerpt, cut};
use crate::link::{Outbox, PendingCall, Queued, Reply, Withdraw};
use crate::memory_budget::Budget;
use crate::plugin::{Callback, Instance, Plugin, Scope, run_callback};
use crate::runtime;
use crate::session::{CallId, CallIds, HANDSHAKE};
use crate::sync::lock;
use crate::trace_limit::TraceLimit;
use crate::wire::{Action, Name, Payload};

/// A request from a handle to the link's task.
#[derive(Debug)]
pub(crate) enum ClientCommand {
    Call {
        id: CallId,
        target: Name,
        method: Name,
        args: Payload,
        scope: Option<Arc<Scope>>,
        reply: Reply,
    },
    Withdraw {
        id: CallId,
    },
    Cancel {
        target: Name,
        method: Option<Name>,
    },
    Listen {
        action: Action,
        emitter: Name,
        event: Name,
    },
    Emit {
        event: Name,
        args: Payload,
    },
    /// An event of a lent plugin, which nobody holds back.
    Forward {
        event: Name,
        args: Payload,
    },
    /// A lent plugin's methods are known, or why it cannot be lent.
    Opened(Result<(), Fault>),
    Finish,
}

impl From<Withdraw> for ClientCommand {
    fn from(Withdraw(id): Withdraw) -> ClientCommand {
        ClientCommand::Withdraw { id }
    }
}

impl Queued for ClientCommand {
    fn weight(&self, waits: bool) -> usize {
        match self {
            ClientCommand::Call { args, .. }
            | ClientCommand::Emit { args, .. }
            | ClientCommand::Forward { args, .. } => args.held_bytes(waits),
            _ => 0,
        }
    }

    /// The plugin waits for capacity before it emits, and does not restore its link: the engine makes a new one, with a
    /// new session. Only a lent plugin's events come from elsewhere.
    fn emitter(&self) -> Option<&str> {
        matches!(self, ClientCommand::Forward { .. }).then_some("")
    }
}

thread_local! {
    /// The address of the link whose task runs on this thread; 0 if none. Code that runs in that task (methods, hooks,
    /// listeners) cannot wait for the task's end.
    static DRIVEN: Cell<usize> = const { Cell::new(0) };
}

/// Upper bound for the close of a link.
const CLOSING: Duration = Duration::from_secs(15);

pub(crate) struct RemoteClient {
    pub(super) outbox: Outbox<ClientCommand>,
    pub(super) instance: Arc<Instance>,
    pub(super) config: ClientConfig,
    ids: CallIds,
    next_listener: AtomicU64,
    /// The plugin's registered name, once an engine has performed the handshake.
    pub(super) loaded: watch::Sender<Option<Name>>,
    listeners: Mutex<HashMap<(Name, Name), Listeners>>,
    /// Limits the traces that engines cause. Shared by the links of a server, since a client may open many.
    pub(super) traces: Arc<TraceLimit>,
}

/// The listeners of one event.
#[derive(Default)]
struct Listeners {
    callbacks: Vec<Registered>,
    /// Whether the engine's subscription lasts beyond the next occurrence.
    lasting: bool,
}

#[derive(Clone)]
struct Registered {
    id: u64,
    callback: Callback,
    once: bool,
}

impl RemoteClient {
    pub(super) fn new(plugin: Plugin, config: ClientConfig, traces: Arc<TraceLimit>) -> RemoteClient {
        RemoteClient {
            outbox: Outbox::new(config.queue.clone(), None, Budget::new(config.memory_limit, None)),
            instance: Arc::new(Instance::new(plugin)),
            config,
            ids: CallIds::starting_at(1),
            next_listener: AtomicU64::new(0),
            loaded: watch::Sender::new(None),
            listeners: Mutex::default(),
            traces,
        }
    }

    pub(super) fn name(&self) -> Name {
        self.loaded.borrow().clone().unwrap_or_else(|| self.instance.plugin.profile.name.as_str().into())
    }

    pub(super) fn instance(&self) -> Arc<Instance> {
        Arc::clone(&self.instance)
    }

    pub(super) async fn onload(&self) -> Result<(), CallError> {
        let mut loaded = self.loaded.subscribe();
        loop {
            if let Some(end) = self.outbox.down() {
                return Err(self.lost(end));
            }
            if loaded.borrow_and_update().is_some() {
                return Ok(());
            }
            // The sender is owned by `self`. The link's task also signals a change at its end.
            let _ = loaded.changed().await;
        }
    }

    fn ready(&self) -> Result<(), CallError> {
        match self.loaded.borrow().is_some() {
            true => Ok(()),
            false => Err(self.outbox.down().map_or_else(|| Refusal::NotConnected.into(), |end| self.lost(end))),
        }
    }

    pub(super) async fn call(
        &self,
        target: &str,
        method: &str,
        args: Payload,
        scope: Option<Arc<Scope>>,
    ) -> Result<Payload, CallError> {
        self.ready()?;
        if method == HANDSHAKE {
            return Err(Refusal::Reserved { target: target.to_owned(), caller: self.name().to_string() }.into());
        }
        let left = scope.as_ref().and_then(|scope| scope.time_left());
        let limit = left.map_or(self.config.call_timeout, |left| left.min(self.config.call_timeout));
        let id = self.ids.allocate();
        let answered = pin!(async {
            self.outbox.wait_for_capacity().await;
            let (target, method, scope) = (target.into(), method.into(), scope.clone());
            let call = |reply| ClientCommand::Call { id, target, method, args, scope, reply };
            PendingCall::start(&self.outbox, id, call)?.await
        });
        match runtime::timeout(limit, answered).await {
            // The engine ends the call at the same time.
            Some(Ok(Err(_))) if scope.as_ref().is_some_and(|scope| scope.is_out_of_time()) => {
                Err(CallError::deadline(target, method, limit))
            }
            Some(Ok(outcome)) => outcome,
            Some(Err(end)) => Err(self.lost(end)),
            None => Err(CallError::deadline(target, method, limit)),
        }
    }

    pub(super) fn busy(&self, target: &str, method: &str, caller: &str, waiting: usize) -> CallError {
        let [target, method, caller] = [target, method, caller].map(|name| cut(name).into_owned());
        Refusal::Busy { target, method, caller, waiting }.into()
    }

    pub(super) fn cancel(&self, target: &str, method: Option<&str>) -> Result<(), CallError> {
        self.ready()?;
        self.push(ClientCommand::Cancel { target: target.into(), method: method.map(Name::from) })
    }

    /// Adds a callback and returns its id.
    pub(super) fn listen(&self, emitter: &str, event: &str, once: bool, callback: Callback) -> Result<u64, CallError> {
        if let Some(end) = self.outbox.down() {
            return Err(self.lost(end));
        }
        let key = (Name::from(emitter), Name::from(event));
        let mut listeners = lock(&self.listeners);
        if listeners.values().map(|listeners| listeners.callbacks.len()).sum::<usize>() >= self.config.max_listeners {
            return Err(Refusal::TooManyListeners {
                name: self.name().to_string(),
                event: event.to_owned(),
                emitter: emitter.to_owned(),
                limit: self.config.max_listeners,
            }
            .into());
        }
        let id = self.next_listener.fetch_add(1, Ordering::Relaxed);
        let all = listeners.entry(key.clone()).or_default();
        // The engine keeps one subscription per event, the first. A one-time subscription is replaced by a lasting one.
        let replace = !once && !all.lasting && !all.callbacks.is_empty();
        all.lasting |= !once;
        let action = if all.lasting { Action::On } else { Action::Once };
        all.callbacks.push(Registered { id, callback, once });
        // Queued under the lock, so that the engine's subscription matches `lasting`.
        if replace {
            self.push_listen(Action::Off, &key)?;
        }
        self.push_listen(action, &key)?;
        Ok(id)
    }

    fn push_listen(&self, action: Action, (emitter, event): &(Name, Name)) -> Result<(), CallError> {
        self.push(ClientCommand::Listen { action, emitter: emitter.clone(), event: event.clone() })
    }

    /// Removes all callbacks for an event.
    pub(super) fn off(&self, emitter: &str, event: &str) -> Result<(), CallError> {
        let key = (Name::from(emitter), Name::from(event));
        let mut listeners = lock(&self.listeners);
        let removed = listeners.remove(&key);
        let queued = self.push_listen(Action::Off, &key);
        drop(listeners);
        // A callback may own anything, so it is dropped without holding a lock.
        drop(removed);
        queued
    }

    /// Removes one callback. Removing the last one ends the engine's subscription.
    pub(super) fn off_one(&self, emitter: &str, event: &str, id: u64) {
        let key = (Name::from(emitter), Name::from(event));
        let mut listeners = lock(&self.listeners);
        let Some(all) = listeners.get_mut(&key) else { return };
        let Some(at) = all.callbacks.iter().position(|one| one.id == id) else { return };
        let removed = all.callbacks.remove(at);
        if all.callbacks.is_empty() {
            listeners.remove(&key);
            // If the link is down, the subscription is already gone.
            let _ = self.push_listen(Action::Off, &key);
        }
        drop(listeners);
        drop(removed);
    }

    pub(super) async fn emit(&self, event: &str, args: Payload) -> Result<(), CallError> {
        self.ready()?;
        self.outbox.wait_for_capacity().await;
        self.push(ClientCommand::Emit { event: event.into(), args })
    }

    pub(super) async fn emit_within(&self, limit: Duration, event: &str, args: Payload) -> Result<(), CallError> {
        let emitted = runtime::timeout(limit, pin!(self.emit(event, args))).await;
        emitted.unwrap_or_else(|| {
            Err(CallError::TimedOut(format!(
                "the event {event} was not emitted: the link's queue was full for {limit:?}"
            )))
        })
    }

    /// Emits an event of a lent plugin. If too many are queued, the oldest are dropped.
    pub(super) fn forward(&self, event: Name, args: Payload) {
        let dropped = self.outbox.push(ClientCommand::Forward { event, args }).map_or(0, |dropped| dropped.len());
        if dropped > 0
            && let Some(left_out) = self.traces.pass()
        {
            let plugin = Excerpt::new(self.name());
            tracing::warn!(?plugin, dropped, left_out, "too many events are queued: the oldest are dropped");
        }
    }

    pub(super) fn opened(&self, opened: Result<(), Fault>) {
        // An error means that the link has ended.
        let _ = self.push(ClientCommand::Opened(opened));
    }

    pub(super) fn disconnect(&self) {
        self.outbox.stop();
    }

    /// Waits until the link has ended, unless called from the link's own task.
    pub(super) async fn finish(&self) {
        // An error means that the link has already ended.
        let _ = self.push(ClientCommand::Finish);
        if DRIVEN.get() == self.address() {
            return;
        }
        // The link's task enforces the first limit and the transport the second, unless the link's future is not
        // polled.
        let _ = runtime::timeout(self.config.stop_timeout.saturating_add(CLOSING), pin!(self.ended())).await;
        self.disconnect();
    }

    /// Runs a poll of the future that drives this link.
    pub(super) fn driving<T>(&self, poll: impl FnOnce() -> T) -> T {
        struct Restore(usize);
        impl Drop for Restore {
            fn drop(&mut self) {
                DRIVEN.set(self.0);
            }
        }
        let _restore = Restore(DRIVEN.replace(self.address()));
        poll()
    }

    fn address(&self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    async fn ended(&self) {
        let mut loaded = self.loaded.subscribe();
        while self.outbox.down().is_none() {
            // The link's task also signals a change at its end.
            let _ = loaded.changed().await;
        }
    }

    fn push(&self, command: ClientCommand) -> Result<(), CallError> {
        self.outbox.push(command).map(drop).map_err(|end| self.lost(end))
    }

    /// Runs the callbacks for an event, and removes the one-time ones.
    pub(super) fn deliver(&self, emitter: Name, event: Name, args: &Payload) {
        let key = (emitter, event);
        let mut listeners = lock(&self.listeners);
        let Some(all) = listeners.get_mut(&key) else { return };
        let now = all.callbacks.clone();
        all.callbacks.retain(|one| !one.once);
        if all.callbacks.is_empty() {
            if all.lasting {
                // If the link is down, the subscription is already gone.
                let _ = self.push_listen(Action::Off, &key);
            }
            listeners.remove(&key);
        }
        drop(listeners);
        for one in now {
            run_callback(&one.callback, &self.traces, &self.name(), &key.0, &key.1, args);
        }
    }

    /// No event arrives after the end of the link.
    pub(super) fn forget_listeners(&self) {
        let all = std::mem::take(&mut *lock(&self.listeners));
        drop(all);
    }

    fn lost(&self, end: LinkEnd) -> CallError {
        LinkLost::Observed { plugin: Name::new_static("engine"), end }.into()
    }
}

impl std::fmt::Debug for RemoteClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RemoteClient").field("name", &self.name()).finish_non_exhaustive()
    }
}
