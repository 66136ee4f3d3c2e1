//! Registration, activation, deactivation and removal: permissions and execution.

mod machine;
mod permission;
mod transition;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use machine::Ended;
pub(super) use machine::{Change, Effects, Lifecycle, State};
pub(super) use permission::Permission;

use super::bounds::MAX_NAME;
use super::current;
use super::entry::{Entry, Registry};
use super::location::Location;
use super::reentrancy::PendingChange;
use super::registration::{Registration, Source};
use super::remote::RemotePlugin;
use super::replicas::ReplicaSet;
use super::{EngineState, MANAGER};
use crate::client::PluginClient;
use crate::error::{ActivateError, RegisterError};
use crate::excerpt::cut;
use crate::guard;
use crate::plugin::Instance;
use crate::profile::Profile;
use crate::runtime;
use crate::sync::lock;
use crate::wire::Name;

/// A request that waits for its outcome.
pub(super) struct Waiter {
    pending: Arc<PendingChange>,
    sender: oneshot::Sender<Result<(), ActivateError>>,
}

impl Waiter {
    fn end(self, outcome: Result<(), ActivateError>) {
        // An error means that the requester no longer waits; the change was carried out anyway.
        let _ = self.sender.send(outcome);
    }
}

/// Unregisters the pending change on drop.
struct ForgetOnDrop(Arc<PendingChange>);

impl Drop for ForgetOnDrop {
    fn drop(&mut self) {
        self.0.forget();
    }
}

struct EndShutdown(Arc<EngineState>);

impl Drop for EndShutdown {
    fn drop(&mut self) {
        self.0.shutdowns.fetch_sub(1, Ordering::AcqRel);
    }
}

impl EngineState {
    pub(super) fn register(self: &Arc<Self>, registration: Registration) -> Result<PluginClient, RegisterError> {
        let Registration { profile, source, options } = registration;
        if profile.name.is_empty() || profile.name.contains('.') {
            return Err(RegisterError::BadName(profile.name));
        }
        if profile.name.len() > MAX_NAME {
            return Err(RegisterError::NameTooLong { length: profile.name.len(), limit: MAX_NAME });
        }
        if matches!(&source, Source::Local(plugin) if plugin.lent.is_some()) {
            return Err(RegisterError::Lent(profile.name));
        }
        let options = options.unwrap_or_else(|| (self.plugin_options)(&profile));
        if let Err(setting) = options.check() {
            return Err(RegisterError::Setting { plugin: profile.name, setting });
        }
        let name = Name::from(profile.name.as_str());
        let mut fixed = Vec::new();
        let location = match source {
            Source::Local(plugin) => Location::Local(Arc::new(Instance::new(*plugin))),
            Source::Remote { connector, url } => Location::Remote(Arc::new(RemotePlugin::new(
                name.clone(),
                url,
                connector,
                &options,
                &self.memory,
                &self.observers,
                None,
            ))),
            Source::Replicas(replicas) => {
                replicas.check()?;
                let (set, places) = ReplicaSet::new(*replicas, &self.memory, &self.observers);
                fixed = places;
                Location::Replicated(Arc::new(set))
            }
        };
        let mut taken = false;
        // Held until the plugin is registered, because the emitter of an unregistered plugin may be removed at any
        // time.
        let mut emitters = lock(&self.emitters);
        let emitter = Arc::clone(emitters.entry(name.clone()).or_default());
        let entry = Arc::new(Entry::new(profile.clone(), location, options, emitter));
        if let Some(set) = entry.replica_set() {
            for place in fixed {
                set.add(&entry, place, false);
            }
        }
        self.registry.rcu(|registry| {
            taken = registry.contains_key(&name);
            let mut registry = Registry::clone(registry);
            registry.entry(name.clone()).or_insert_with(|| Arc::clone(&entry));
            registry
        });
        drop(emitters);
        if taken {
            return Err(RegisterError::AlreadyRegistered(profile.name));
        }
        let client = PluginClient::in_engine(name.clone(), Arc::downgrade(self), Arc::downgrade(&entry));
        if name != MANAGER {
            guard::call(&entry.traces, &name, "the policy's profile_added", || self.policy.profile_added(&profile));
            self.manager_emits("profileAdded", &profile);
        }
        if let Some(hook) = entry.instance().and_then(|instance| instance.plugin.on_registration.clone()) {
            guard::call(&entry.traces, &name, "the registration hook", || current::within(entry.number, 0, || hook()));
        }
        if let Some(hook) = &self.on_registration {
            guard::call(&entry.traces, &name, "the engine's registration hook", || hook(&profile));
        }
        Ok(client)
    }

    /// The plugin whose hook or method runs on this thread and makes a request through a handle of the host.
    fn requester(&self) -> Option<Arc<Entry>> {
        self.by_number(current::plugin())
    }

    /// The plugin that called the manager's method running on this thread.
    pub(super) fn caller(&self) -> Option<Arc<Entry>> {
        self.by_number(current::caller())
    }

    /// A plugin or a replica by its number, including one that has been removed and is still being deactivated.
    pub(super) fn by_number(&self, number: u64) -> Option<Arc<Entry>> {
        let numbered = |entry: &Arc<Entry>| number > 0 && number == entry.number;
        let is_it = |entry: &Arc<Entry>| match numbered(entry) {
            true => Some(Arc::clone(entry)),
            false => entry.replicas().into_iter().find(numbered),
        };
        let registered = self.registry.load().values().find_map(is_it);
        registered.or_else(|| lock(&self.being_removed).iter().find_map(is_it))
    }

    /// Resolves a name for `requester`: its own name refers to itself, even if the name has passed to another plugin.
    pub(super) fn find_for(&self, requester: Option<&Arc<Entry>>, name: &str) -> Option<Arc<Entry>> {
        requester.filter(|requester| requester.name == name).map(Entry::plugin).or_else(|| self.find(name))
    }

    /// Activates or deactivates a plugin on behalf of the host.
    pub(super) async fn change_as_host(self: &Arc<Self>, change: Change, name: &str) -> Result<(), ActivateError> {
        self.change(change, self.profile_of(MANAGER), self.requester(), name).await
    }

    /// Activates or deactivates a plugin on behalf of another, if permitted. Once permission is requested, dropping
    /// this future stops neither that nor what follows.
    pub(super) async fn change(
        self: &Arc<Self>,
        change: Change,
        caller: Profile,
        requester: Option<Arc<Entry>>,
        name: &str,
    ) -> Result<(), ActivateError> {
        let entry = match (self.find_for(requester.as_ref(), name), change) {
            (Some(entry), _) => entry,
            (None, Change::Activate) => return Err(ActivateError::NotRegistered(cut(name).into_owned())),
            (None, _) => return Ok(()),
        };
        let state = lock(&entry.lifecycle).state();
        let is_so_already = match change {
            Change::Activate => state == State::Active,
            // The manager is never deactivated.
            _ if entry.name == MANAGER => true,
            // A deactivation also revokes an activation that waits for permission.
            _ => matches!(state, State::Registered | State::Removed) && !entry.awaits_permission(),
        };
        if is_so_already {
            return Ok(());
        }
        let permission = Permission::new(&entry);
        let number = requester.as_ref().map_or(0, |requester| requester.number);
        let pending = ForgetOnDrop(PendingChange::new(&self.clock, requester, &entry));
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter { pending: Arc::clone(&pending.0), sender };
        let engine = Arc::clone(self);
        self.spawn(async move {
            let allowed = match change {
                Change::Activate => {
                    engine.may_activate(number, &caller, &entry).await.and_then(|()| permission.still_wanted())
                }
                Change::Deactivate | Change::Remove => engine.may_deactivate(number, &caller, &entry).await,
            };
            drop(permission);
            match allowed {
                Ok(()) => engine.request(&entry, change, waiter),
                Err(error) => waiter.end(Err(error)),
            }
        });
        self.outcome(receiver).await
    }

    /// Activates a plugin whose activation is permitted.
    pub(super) async fn activate_for(
        self: &Arc<Self>,
        requester: &Arc<Entry>,
        entry: &Arc<Entry>,
    ) -> Result<(), ActivateError> {
        self.requested(Change::Activate, Some(Arc::clone(requester)), entry).await
    }

    async fn requested(
        self: &Arc<Self>,
        change: Change,
        requester: Option<Arc<Entry>>,
        entry: &Arc<Entry>,
    ) -> Result<(), ActivateError> {
        let pending = ForgetOnDrop(PendingChange::new(&self.clock, requester, entry));
        let (sender, receiver) = oneshot::channel();
        self.request(entry, change, Waiter { pending: Arc::clone(&pending.0), sender });
        self.outcome(receiver).await
    }

    async fn outcome(&self, receiver: oneshot::Receiver<Result<(), ActivateError>>) -> Result<(), ActivateError> {
        receiver.await.unwrap_or_else(|_| {
            Err(match self.ended.is_cancelled() {
                true => ActivateError::EngineGone,
                false => ActivateError::NoRuntime,
            })
        })
    }

    /// Runs `work` until it completes or the engine is dropped. Without a runtime, `work` is dropped.
    fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        runtime::spawn_until(&self.ended, work);
    }

    pub(super) async fn remove(self: &Arc<Self>, name: &str) {
        let requester = self.requester();
        let found = self.find_for(requester.as_ref(), name).filter(|entry| entry.name != MANAGER);
        let Some(entry) = found else { return };
        if !self.find(name).is_some_and(|registered| Arc::ptr_eq(&registered, &entry)) {
            // The removal is already in progress.
            return;
        }
        lock(&self.being_removed).push(Arc::clone(&entry));
        self.registry.rcu(|registry| {
            let mut registry = Registry::clone(registry);
            registry.remove(name);
            registry
        });
        // A removal does not fail; without a runtime it is complete as well.
        let _ = self.requested(Change::Remove, requester, &entry).await;
    }

    /// Deactivates all plugins gracefully, except the manager, which announces it. Until then, no call activates a
    /// plugin.
    pub(super) async fn shutdown(self: &Arc<Self>) {
        let (engine, requester) = (Arc::clone(self), self.requester());
        let (sender, receiver) = oneshot::channel();
        self.shutdowns.fetch_add(1, Ordering::AcqRel);
        let end = EndShutdown(Arc::clone(self));
        self.spawn(async move {
            let registry = engine.registry.load_full();
            let all = registry.values().filter(|entry| entry.name != MANAGER);
            let requests = all.map(|entry| engine.requested(Change::Deactivate, requester.clone(), entry));
            futures_util::future::join_all(requests).await;
            drop(end);
            // An error means that the requester no longer waits.
            let _ = sender.send(());
        });
        // Fails only if the engine was dropped or the runtime has shut down.
        let _ = receiver.await;
    }

    pub(super) fn is_shutting_down(&self) -> bool {
        self.shutdowns.load(Ordering::Acquire) > 0
    }

    /// Ends everything at once.
    pub(super) fn abort(&self) {
        self.ended.cancel();
        for entry in self.registry.swap(Arc::default()).values() {
            self.isolate(entry);
            entry.abort_links();
        }
        let emitters = std::mem::take(&mut *lock(&self.emitters));
        // Stored events may own anything, so they are dropped without holding a lock.
        drop(emitters);
        lock(&self.being_removed).clear();
    }
}
