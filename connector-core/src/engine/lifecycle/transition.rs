//! The task that carries out a plugin's transitions.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::{Either, select};

use super::machine::{Effects, Transition};
use super::{Change, Ended, State, Waiter};
use crate::client::PluginClient;
use crate::engine::entry::{Entry, Status};
use crate::engine::link_state::ConnectionEvent;
use crate::engine::location::Location;
use crate::engine::reentrancy::PendingChange;
use crate::engine::{EngineState, current, replicas, supervisor};
use crate::error::ActivateError;
use crate::excerpt::Excerpt;
use crate::guard;
use crate::plugin::Hook;
use crate::runtime;
use crate::sync::lock;

impl EngineState {
    /// Queues a request for its plugin, and starts the plugin's worker if none runs.
    pub(super) fn request(self: &Arc<Self>, entry: &Arc<Entry>, change: Change, waiter: Waiter) {
        let pending = Arc::clone(&waiter.pending);
        if change != Change::Activate {
            entry.deactivations.fetch_add(1, Ordering::AcqRel);
        }
        let effects = entry.advance(&self.clock, |lifecycle| lifecycle.request(change, waiter));
        if let Some(transition) = self.settle(entry, effects) {
            let task = Worker { engine: Arc::clone(self), entry: Arc::clone(entry), finished: false };
            self.spawn(task.run(transition));
        }
        // Checked after queueing: of two requests that block each other, the later sees the earlier.
        if pending.is_circular() {
            self.end_early(entry, change, &pending);
        }
    }

    /// Completes a request that the current transition of its own plugin would have to wait for. A deactivation follows
    /// later; an activation is either in progress or fails.
    fn end_early(&self, entry: &Entry, change: Change, pending: &Arc<PendingChange>) {
        let is = |waiter: &Waiter| Arc::ptr_eq(&waiter.pending, pending);
        let mut lifecycle = lock(&entry.lifecycle);
        let withdrawn = if change == Change::Activate { lifecycle.withdraw(is) } else { None };
        let waiting = if withdrawn.is_none() { lifecycle.take(is) } else { None };
        drop(lifecycle);
        if let Some(waiter) = withdrawn {
            waiter.end(Err(ActivateError::Circular(entry.name.to_string())));
        }
        if let Some(waiter) = waiting {
            waiter.end(Ok(()));
        }
    }

    /// Completes the requests that have been carried out. Returns the next transition.
    fn settle(&self, entry: &Entry, effects: Effects<Waiter, ActivateError>) -> Option<Transition> {
        let Effects { begin, interrupt, ended } = effects;
        if interrupt {
            entry.interrupt.notify_one();
        }
        for (waiter, ended) in ended {
            waiter.end(match ended {
                Ended::Done => Ok(()),
                Ended::Failed(error) => Err(error),
                Ended::Gone => Err(ActivateError::NotRegistered(entry.name.to_string())),
            });
        }
        if begin.is_none() {
            self.forget_unregistered(&entry.name);
            if lock(&entry.lifecycle).state() == State::Removed {
                let mut being_removed = lock(&self.being_removed);
                let gone = being_removed.extract_if(.., |other| std::ptr::eq(&**other, entry)).collect::<Vec<_>>();
                drop(being_removed);
                drop(gone);
            }
        }
        begin
    }

    async fn run_activation(self: &Arc<Self>, entry: &Arc<Entry>) -> Result<(), ActivateError> {
        let listed = match &entry.location {
            Location::Local(instance) => {
                if let Some(hook) = &instance.plugin.on_activation {
                    let (name, within) = (entry.name.to_string(), entry.options.activation_timeout);
                    match self.run_hook(entry, "the activation hook", hook).await {
                        Some(Some(())) => {}
                        Some(None) => return Err(ActivateError::HookPanicked(name)),
                        None => return Err(ActivateError::Hook { name, within }),
                    }
                }
                false
            }
            Location::Remote(remote) => {
                self.connect(entry, supervisor::start(Arc::downgrade(self), entry, remote)).await?
            }
            Location::Replicated(set) => {
                self.connect(entry, replicas::start(Arc::downgrade(self), entry, set)).await?;
                false
            }
        };
        entry.set_status(Status::Active);
        // The engine may have been dropped before there was a link to close.
        if self.ended.is_cancelled() {
            entry.abort_links();
            return Err(ActivateError::EngineGone);
        }
        self.announce_activated(entry, listed);
        Ok(())
    }

    /// Announces an activation. A plugin that was removed meanwhile is about to be deactivated, and its name may belong
    /// to another plugin: neither change is announced.
    fn announce_activated(&self, entry: &Arc<Entry>, updated: bool) {
        if !self.find(&entry.name).is_some_and(|registered| Arc::ptr_eq(&registered, entry)) {
            return;
        }
        // To other plugins a name is one plugin, so the deactivation of its previous holder is announced first.
        let before: Vec<_> =
            lock(&self.being_removed).iter().filter(|other| other.name == entry.name).cloned().collect();
        for namesake in before {
            self.announce_deactivated(&namesake);
        }
        entry.announced.store(true, Ordering::Release);
        let profile = entry.profile();
        guard::call(&entry.traces, &entry.name, "the policy's plugin_activated", || {
            self.policy.plugin_activated(&profile)
        });
        self.manager_emits("pluginActivated", &profile);
        if entry.updated_early.swap(false, Ordering::AcqRel) || updated {
            self.manager_emits("profileUpdated", &profile);
        }
    }

    /// Makes the plugin's links, unless a queued request supersedes the activation.
    async fn connect<T>(
        &self,
        entry: &Entry,
        start: impl Future<Output = Result<T, ActivateError>>,
    ) -> Result<T, ActivateError> {
        let interrupted = pin!(async {
            while !lock(&entry.lifecycle).is_interrupted() {
                entry.interrupt.notified().await;
            }
        });
        match select(pin!(start), interrupted).await {
            Either::Left((started, _)) => started,
            Either::Right(_) => Err(ActivateError::Interrupted(entry.name.to_string())),
        }
    }

    /// `None` after a timeout, `Some(None)` after a panic.
    async fn run_hook(self: &Arc<Self>, entry: &Arc<Entry>, what: &str, hook: &Hook) -> Option<Option<()>> {
        let client = PluginClient::in_engine(entry.name.clone(), Arc::downgrade(self), Arc::downgrade(entry));
        let number = entry.number;
        let hook = async {
            let mut hook = current::within(number, 0, || hook(client));
            poll_fn(|cx| current::within(number, 0, || hook.as_mut().poll(cx))).await
        };
        let hook = pin!(guard::run(&entry.traces, &entry.name, what, hook));
        runtime::timeout(entry.options.activation_timeout, hook).await
    }

    async fn run_deactivation(self: &Arc<Self>, entry: &Arc<Entry>) {
        if let Location::Local(instance) = &entry.location
            && let Some(hook) = &instance.plugin.on_deactivation
            && self.run_hook(entry, "the deactivation hook", hook).await.is_none()
        {
            let limit = entry.options.activation_timeout;
            tracing::warn!(plugin = &*entry.name, ?limit, "the deactivation hook did not end in time and was dropped");
        }
        self.isolate(entry);
        // Such a request arrived over the link that closes next.
        for waiter in lock(&entry.lifecycle).release(|waiter| waiter.pending.is_for_itself()) {
            waiter.end(Ok(()));
        }
        for link in entry.links() {
            link.transition(ConnectionEvent::Stop, Vec::new());
        }
        self.announce_deactivated(entry);
        for link in entry.links() {
            supervisor::stopped(&link).await;
            link.transition(ConnectionEvent::Reset, Vec::new());
        }
        if let Some(set) = entry.replica_set() {
            set.forget_found();
        }
        entry.trace_left_out();
    }

    fn announce_deactivated(&self, entry: &Entry) {
        if !entry.announced.swap(false, Ordering::AcqRel) {
            return;
        }
        let profile = entry.profile();
        guard::call(&entry.traces, &entry.name, "the policy's plugin_deactivated", || {
            self.policy.plugin_deactivated(&profile)
        });
        self.manager_emits("pluginDeactivated", &profile);
    }

    /// The link's task of an active plugin has ended unexpectedly, for example because its runtime shuts down.
    ///
    /// Those of replicas end with their plugin's keeper.
    pub(in crate::engine) fn link_task_ended(&self, entry: &Entry) {
        if lock(&entry.lifecycle).lost() {
            self.isolate(entry);
            self.announce_deactivated(entry);
            entry.trace_left_out();
        }
    }

    /// Isolates a plugin: from here on it neither acts nor is called, and receives no events.
    pub(in crate::engine) fn isolate(&self, entry: &Entry) {
        entry.end_activation();
        if let Some(set) = entry.replica_set() {
            set.end();
        }
        let replicas = entry.replicas();
        for replica in &replicas {
            replica.end_activation();
            replica.end_calls();
        }
        entry.end_calls();
        let registry = self.registry.load_full();
        let being_removed = lock(&self.being_removed).clone();
        for target in registry.values().chain(&being_removed) {
            target.end_calls_by(entry);
        }
        for replica in &replicas {
            self.forget_events(replica);
        }
        self.forget_events(entry);
        entry.updated_early.store(false, Ordering::Release);
    }
}

/// Runs one plugin's transitions one after another until no request is queued.
struct Worker {
    engine: Arc<EngineState>,
    entry: Arc<Entry>,
    finished: bool,
}

impl Worker {
    async fn run(mut self, mut transition: Transition) {
        loop {
            let plugin = &*self.entry.name;
            tracing::debug!(plugin, ?transition, "begins");
            let result = match transition {
                Transition::Activate => self.engine.run_activation(&self.entry).await,
                Transition::Deactivate => {
                    self.engine.run_deactivation(&self.entry).await;
                    Ok(())
                }
            };
            match &result {
                Ok(()) => tracing::debug!(plugin, ?transition, "done"),
                Err(error) => {
                    tracing::debug!(plugin, ?transition, error = %Excerpt::new(error), "failed");
                    self.engine.isolate(&self.entry);
                }
            }
            let effects = self.entry.advance(&self.engine.clock, |lifecycle| lifecycle.finished(result));
            match self.engine.settle(&self.entry, effects) {
                Some(next) => transition = next,
                None => break,
            }
        }
        // The link's task may have ended since the handshake.
        if self.entry.has_no_task() {
            self.engine.link_task_ended(&self.entry);
        }
        self.finished = true;
    }
}

/// If the engine or the runtime ends during a transition, the plugin becomes inactive and all waiters are notified.
impl Drop for Worker {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.engine.isolate(&self.entry);
        self.entry.abort_links();
        // Each waiter finds the sender of its outcome dropped.
        drop(self.entry.abandon());
    }
}
