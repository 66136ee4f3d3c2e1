//! A plugin's replicas as its callers, their links and the keeper share them.
//!
//! Each replica is an [`Entry`] that is not in the registry, with the plugin's name and a link, a queue and a number of its
//! own. Whatever a plugin behind one link does and undergoes, a replica does and undergoes in the same way.

use std::mem;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::choice::{Choice, hash};
use super::places::Places;
use super::set::{NoReplica, Picked, Set};
use super::{Place, Replicas};
use crate::connector::{ConnectError, LinkEnd};
use crate::engine::entry::Entry;
use crate::engine::link_state::{LinkState, is_final};
use crate::engine::location::Location;
use crate::engine::observer::{Interests, Observation};
use crate::engine::observers::Observers;
use crate::engine::remote::RemotePlugin;
use crate::engine::supervisor;
use crate::error::ActivateError;
use crate::link::wait_while;
use crate::memory_budget::SharedBudget;
use crate::profile::Profile;
use crate::runtime::Task;
use crate::sync::lock;
use crate::wire::{Name, Payload};

pub(crate) struct ReplicaSet {
    pub(super) name: Name,
    /// As registered.
    profile: Profile,
    choice: Choice,
    idempotent: Box<[String]>,
    set: Mutex<Set<Arc<Entry>>>,
    /// The state of its links taken together, which follows that of `set`.
    pub(in crate::engine) state: watch::Sender<LinkState>,
    next_id: AtomicU64,
    /// The first attempts to make links since the activation.
    attempts: Mutex<Attempts>,
    /// Notified when a link is up or an attempt has failed, and when a replica that retires has no more calls.
    progress: Notify,
    /// Used by the keeper.
    pub(super) places: tokio::sync::Mutex<Option<Box<dyn Places>>>,
    /// Where they look for replicas, if there are any.
    searched: Option<String>,
    /// The task that lets replicas join and leave, unless aborted, and a channel that closes with it.
    pub(super) keeper: Mutex<Option<(Option<Task>, watch::Receiver<()>)>>,
    memory: Arc<SharedBudget>,
    observers: Arc<Observers>,
}

#[derive(Default)]
struct Attempts {
    /// How each replica's last attempt ended, and whether that is final.
    ended: Vec<(u64, LinkEnd, bool)>,
    /// The URL of the last one, as errors show it.
    url: String,
    /// Why no replicas can be looked for, and where.
    search: Option<(String, ConnectError)>,
}

/// What makes a plugin's link that of a replica.
pub(in crate::engine) struct Membership {
    pub(super) id: u64,
    /// The replica's name.
    pub(in crate::engine) replica: Name,
    /// Whether it was found, and is forgotten when the plugin is deactivated.
    pub(super) found: bool,
    set: Weak<ReplicaSet>,
    pub(in crate::engine) plugin: Weak<Entry>,
    /// The plugin's number, in whose name its events are stored.
    pub(in crate::engine) plugin_number: u64,
}

/// A replica that a call was counted for, until this is dropped.
pub(super) struct Chosen<'a> {
    set: &'a ReplicaSet,
    picked: Picked<Arc<Entry>>,
}

impl ReplicaSet {
    /// Without the replicas that are registered, which [`add`](ReplicaSet::add) adds.
    pub(in crate::engine) fn new(
        replicas: Replicas,
        memory: &Arc<SharedBudget>,
        observers: &Arc<Observers>,
    ) -> (ReplicaSet, Vec<Place>) {
        let Replicas { profile, fixed, places, choice, idempotent } = replicas;
        let set = ReplicaSet {
            name: profile.name.as_str().into(),
            profile,
            choice,
            idempotent: idempotent.into(),
            set: Mutex::new(Set::new()),
            state: watch::Sender::new(LinkState::Inactive),
            next_id: AtomicU64::new(0),
            attempts: Mutex::default(),
            progress: Notify::new(),
            searched: places.as_ref().map(|places| places.searched()),
            places: tokio::sync::Mutex::new(places),
            keeper: Mutex::default(),
            memory: Arc::clone(memory),
            observers: Arc::clone(observers),
        };
        (set, fixed)
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Set<Arc<Entry>>> {
        lock(&self.set)
    }

    /// Adds a replica, whose link is not made yet.
    pub(in crate::engine) fn add(self: &Arc<Self>, plugin: &Arc<Entry>, place: Place, found: bool) -> Arc<Entry> {
        let Place { replica, url, connector } = place;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let name_hash = hash(replica.as_bytes());
        let membership = Membership {
            id,
            replica: replica.into(),
            found,
            set: Arc::downgrade(self),
            plugin: Arc::downgrade(plugin),
            plugin_number: plugin.number,
        };
        let (name, options) = (self.name.clone(), plugin.options.clone());
        let remote = RemotePlugin::new(name, url, connector, &options, &self.memory, &self.observers, Some(membership));
        // Others see the profile of the plugin.
        let (profile, location) = (Profile::new(&*self.name), Location::Remote(Arc::new(remote)));
        let entry = Arc::new(Entry::new(profile, location, options, Arc::clone(&plugin.emitter)));
        let methods = self.profile.methods.clone().unwrap_or_default();
        self.lock().add(id, name_hash, methods, Arc::clone(&entry));
        entry
    }

    /// All replicas, including those that retire.
    pub(in crate::engine) fn members(&self) -> Vec<Arc<Entry>> {
        self.lock().members().to_vec()
    }

    /// Chooses a replica for a call.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn choose(&self, method: &str, key: Option<u64>) -> Result<Chosen<'_>, NoReplica> {
        Ok(Chosen { set: self, picked: self.lock().pick(method, key)? })
    }

    pub(super) fn key(&self, caller: &str, args: &Payload) -> Option<u64> {
        self.choice.key(caller, args)
    }

    pub(super) fn is_idempotent(&self, method: &str) -> bool {
        self.idempotent.iter().any(|idempotent| idempotent == method)
    }

    /// The plugin is being activated.
    pub(super) fn begin(&self) {
        *lock(&self.attempts) = Attempts::default();
        self.lock().begin();
        self.publish();
    }

    /// Whether the plugin is inactive.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.lock().link(), LinkState::Inactive)
    }

    /// The plugin is inactive: no replica is found or chosen any more.
    pub(in crate::engine) fn end(&self) {
        let keeper = lock(&self.keeper).as_mut().and_then(|(task, _)| task.take());
        drop(keeper);
        self.lock().end();
        self.publish();
    }

    /// Waits until the keeper of the last activation and the supervisors of the replicas have ended.
    pub(super) async fn stopped(&self) {
        let ended = lock(&self.keeper).as_ref().map(|(_, ended)| ended.clone());
        if let Some(mut ended) = ended {
            // Always an error: the sender is dropped with the task.
            let _ = ended.changed().await;
        }
        for member in self.members() {
            if let Some(remote) = member.remote() {
                supervisor::stopped(remote).await;
            }
        }
    }

    /// Whether the keeper has ended.
    pub(in crate::engine) fn has_no_task(&self) -> bool {
        lock(&self.keeper).as_ref().is_none_or(|(_, ended)| ended.has_changed().is_err())
    }

    /// The links of a deactivated plugin have ended: forgets the replicas that were found.
    pub(in crate::engine) fn forget_found(&self) {
        for member in self.members() {
            if let Some(Membership { id, found: true, .. }) = member.membership() {
                self.lock().remove(*id);
            }
        }
    }

    /// Updates the public state.
    pub(super) fn publish(&self) {
        let mut observed = None;
        let replaced = self.state.send_if_modified(|state| {
            let now = self.lock().link().clone();
            let is_same = match (&*state, &now) {
                (LinkState::Down { tries, .. }, LinkState::Down { tries: others, .. }) => tries == others,
                (one, other) => mem::discriminant(one) == mem::discriminant(other),
            };
            if !is_same {
                observed = self.observers.want(Interests::LINK).then(|| now.clone());
                *state = now;
            }
            !is_same
        });
        if let Some(state) = observed {
            self.observers.tell(&Observation::Link { plugin: &self.name, replica: None, state: &state });
        }
        if replaced {
            self.progress.notify_waiters();
        }
    }

    /// Waits until a link is up.
    ///
    /// # Errors
    /// No link will be.
    pub(super) async fn first_link(&self) -> Result<(), ()> {
        wait_while(&self.progress, || !self.state.borrow().is_up() && !self.has_failed()).await;
        if self.state.borrow().is_up() { Ok(()) } else { Err(()) }
    }

    /// Replicas cannot be looked for, or can again.
    pub(super) fn set_search(&self, failed: Option<(String, ConnectError)>) {
        lock(&self.attempts).search = failed;
        self.progress.notify_waiters();
    }

    /// Whether the first attempts of all replicas, and the search for others, have failed in a way that fails an activation.
    fn has_failed(&self) -> bool {
        let attempts = lock(&self.attempts);
        if self.searched.is_some() && attempts.search.as_ref().is_none_or(|(_, error)| error.is_retryable()) {
            return false;
        }
        let is_final = |id| attempts.ended.iter().any(|(other, _, is_final)| *other == id && *is_final);
        self.lock().members().iter().filter_map(|member| member.membership()).all(|member| is_final(member.id))
    }

    /// Why the activation has failed.
    pub(super) fn failure(&self, within: Duration) -> ActivateError {
        let Attempts { mut ended, url, search } = mem::take(&mut *lock(&self.attempts));
        let (url, last) = match (ended.pop(), search) {
            (Some((_, end, _)), _) => (url, Some(end)),
            (None, Some((url, error))) => (url, Some(error.into())),
            (None, None) => {
                match self.members().iter().find_map(|member| Some(member.remote()?.redacted_url.clone())) {
                    Some(url) => (url, None),
                    None => {
                        let error = "no replica has been found: start the plugin, and compare its name and where it is \
                                     looked for at both ends (behind NATS, also the prefix and the account)";
                        (self.searched.clone().unwrap_or_default(), Some(ConnectError::failed(error).into()))
                    }
                }
            }
        };
        supervisor::failure(&self.name, url, within, last)
    }

    /// Waits until a replica that retires runs no calls.
    pub(super) async fn has_no_calls(&self, id: u64) {
        wait_while(&self.progress, || self.lock().in_flight(id) > 0).await;
    }

    /// Updates the methods of the plugin, which are those that any of its replicas lists. Without replicas, it keeps the
    /// last ones. Returns whether they have changed.
    pub(super) fn update_methods(&self, plugin: &Entry) -> bool {
        let methods = || {
            let set = self.lock();
            if set.members().is_empty() { None } else { Some(set.methods()) }
        };
        plugin.update_methods(methods)
    }
}

impl Membership {
    /// The state of the replica's link has changed. The queue in front of the link follows a loss, and precedes a new link.
    pub(in crate::engine) fn link_changed(&self, state: &LinkState) {
        if let Some(set) = self.set.upgrade() {
            set.lock().link_changed(self.id, state);
        }
    }

    /// Publishes what has changed, once no lock is held.
    pub(in crate::engine) fn publish(&self) {
        if let Some(set) = self.set.upgrade() {
            set.publish();
        }
    }

    /// The replica has had no link since the activation, and an attempt to make one has failed. That counts until the plugin
    /// is active.
    pub(in crate::engine) fn attempt_failed(&self, url: &str, end: &LinkEnd) {
        let Some(set) = self.set.upgrade() else { return };
        if !matches!(set.lock().link(), LinkState::Connecting) {
            return;
        }
        let mut attempts = lock(&set.attempts);
        let before = attempts.ended.iter().position(|(id, ..)| *id == self.id).map(|at| attempts.ended.remove(at));
        let (last, was_final) = before.map(|(_, end, was_final)| (end, was_final)).unzip();
        let is_final = was_final == Some(true) || is_final(end, last.as_ref());
        attempts.ended.push((self.id, end.clone(), is_final));
        url.clone_into(&mut attempts.url);
        drop(attempts);
        set.progress.notify_waiters();
    }

    /// The plugin at the other end of the replica's link drains.
    pub(in crate::engine) fn drains(&self, entry: &Entry) {
        if let Some(set) = self.set.upgrade() {
            set.lock().drains(self.id);
            entry.move_waiting_calls();
        }
    }

    /// The methods of the plugin, if the replica lists `methods`.
    pub(in crate::engine) fn methods_with(&self, methods: &[String]) -> Vec<String> {
        self.set.upgrade().map(|set| set.lock().methods_with(self.id, methods)).unwrap_or_default()
    }

    /// The replica lists these methods. Returns whether those of the plugin have changed.
    pub(in crate::engine) fn set_methods(&self, methods: Vec<String>) -> bool {
        let (Some(set), Some(plugin)) = (self.set.upgrade(), self.plugin.upgrade()) else { return false };
        set.lock().set_methods(self.id, methods);
        set.update_methods(&plugin)
    }
}

impl Chosen<'_> {
    pub(super) fn replica(&self) -> &Arc<Entry> {
        &self.picked.member
    }
}

impl Drop for Chosen<'_> {
    fn drop(&mut self) {
        let is_idle = self.set.lock().release(self.picked.id, self.picked.hint);
        if is_idle {
            self.set.progress.notify_waiters();
        }
    }
}
