//! A registered plugin, as stored by the engine.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use foldhash::HashMap;
use smallvec::{SmallVec, smallvec};
use tokio::sync::{Notify, watch};

use super::bounds::quoted_list;
use super::call::{Call, LogicalClock};
use super::events::Emitter;
use super::lifecycle::{Effects, Lifecycle, State, Waiter};
use super::link_state::LinkState;
use super::options::PluginOptions;
use super::reentrancy::PendingChange;
use super::remote::RemotePlugin;
use super::replicas::{Membership, ReplicaSet};
use super::request_queue::RequestQueue;
use crate::memory_budget::Charge;
use crate::plugin::{CAN_DEACTIVATE, Handler, Instance, Scope};
use crate::profile::Profile;
use crate::sync::lock;
use crate::trace_limit::TraceLimit;
use crate::wire::Name;

// PERF: docs/performance.md, "about 17 cache lines": a call over 10,000 plugins 1.7 to 2.8 → 1.28 to 1.37 times.
/// The fields that every call reads come first: with thousands of plugins, fetching them from memory dominates the cost
/// of a call.
#[repr(C)]
pub(crate) struct Entry {
    interface: ArcSwap<Interface>,
    pub(super) location: Location,
    pub(super) name: Name,
    /// A [`Status`], and [`HAS_REPLICAS`].
    status: AtomicU8,
    pub(super) queue: Mutex<RequestQueue<Arc<Call>>>,
    pub(super) options: PluginOptions,
    /// The plugin's number in [`current`](super::current).
    pub(super) number: u64,
    pub(super) lifecycle: Mutex<Lifecycle<Waiter>>,
    /// State changes that wait for permission.
    pub(super) permissions: AtomicUsize,
    /// Incremented at each deactivation, to tell activations apart.
    activations: AtomicU64,
    /// Whether the activation was announced to other plugins.
    pub(super) announced: AtomicBool,
    /// Number of deactivation requests.
    pub(super) deactivations: AtomicU64,
    /// When the current transition began, on the engine's logical clock; 0 if there is none.
    pub(super) transition_since: AtomicU64,
    /// Notified when the plugin becomes inactive.
    pub(super) deactivated: Notify,
    /// Wakes an activation that may have been superseded.
    pub(super) interrupt: Notify,
    /// Whether the profile was updated during activation; announced once the plugin is active.
    pub(super) updated_early: AtomicBool,
    /// Outgoing calls that a call which this plugin runs may have made: see [`super::reentrancy`].
    pub(super) outgoing: Mutex<Vec<Arc<Call>>>,
    /// State changes of other plugins that this one waits for.
    pub(super) pending_changes: Mutex<Vec<Arc<PendingChange>>>,
    pub(super) emitter: Arc<Emitter>,
    /// The events it subscribes to, by emitter, name and the subscription's id. Charged to it if it is behind a link.
    pub(super) listens_to: Mutex<HashMap<(Name, Name, u64), Option<Charge>>>,
    /// The caller that it is to a queue, in which callers take turns: the replicas of a plugin are one, and so are the
    /// plugins of a borrower.
    pub(super) turn: u64,
    /// Limits the traces that the plugin causes.
    pub(crate) traces: Arc<TraceLimit>,
}

/// Where a plugin runs.
pub(super) enum Location {
    Local(Arc<Instance>),
    Remote(Arc<RemotePlugin>),
    /// At several places. Each replica is an entry of its own, which is not in the registry and is `Remote`.
    Replicated(Arc<ReplicaSet>),
}

// PERF: the methods come first, and up to four are inline: see `Entry`.
/// A plugin's profile, with its methods prepared for lookup.
#[repr(C)]
pub(super) struct Interface {
    /// Sorted by name.
    methods: SmallVec<[Exposed; 4]>,
    pub(super) profile: Profile,
}

/// A method that may be called.
#[derive(Clone)]
pub(super) struct Exposed {
    /// As stored here.
    pub(super) name: Name,
    /// Set if the plugin is in this process and the method does not belong to a service.
    pub(super) handler: Option<Handler>,
}

impl Interface {
    fn new(profile: Profile, location: &Location) -> Interface {
        let handler = |method: &str| match location {
            Location::Local(instance) => instance.handler(method),
            Location::Remote(_) | Location::Replicated(_) => None,
        };
        let exposed = |method: &String| Exposed { name: method.as_str().into(), handler: handler(method) };
        let mut methods: SmallVec<[Exposed; 4]> = profile.methods.iter().flatten().map(exposed).collect();
        methods.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        Interface { methods, profile }
    }

    fn method(&self, method: &str) -> Option<&Exposed> {
        let at = self.methods.binary_search_by(|exposed| exposed.name.as_str().cmp(method)).ok()?;
        self.methods.get(at)
    }

    /// The method, if it may be called.
    pub(super) fn exposed(&self, method: &str) -> Option<Exposed> {
        let always = || Exposed { name: Name::new_static(CAN_DEACTIVATE), handler: None };
        self.method(method).cloned().or_else(|| (method == CAN_DEACTIVATE).then(always))
    }

    /// Whether the plugin's profile lists the method.
    pub(super) fn lists(&self, method: &str) -> bool {
        self.method(method).is_some()
    }

    /// The list of methods for refusals.
    pub(super) fn exposed_list(&self) -> String {
        let always = (!self.lists(CAN_DEACTIVATE)).then_some(CAN_DEACTIVATE);
        let methods = self.profile.methods.iter().flatten().map(String::as_str).chain(always);
        quoted_list(methods)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Status {
    Inactive,
    /// May act, and be called once [`may_be_called`](Entry::may_be_called) returns `true`.
    Activating,
    Active,
    /// The deactivation hook runs: still acts and may be called.
    Deactivating,
}

/// Part of a plugin's status, so that one look at it says whether a call may take the common way.
const HAS_REPLICAS: u8 = 4;

fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Entry {
    pub(super) fn new(profile: Profile, location: Location, options: PluginOptions, emitter: Arc<Emitter>) -> Entry {
        let has_replicas = if let Location::Replicated(_) = location { HAS_REPLICAS } else { 0 };
        let number = next_number();
        let plugin = match &location {
            Location::Remote(remote) => remote.membership.as_ref().map(|membership| membership.plugin_number),
            Location::Local(_) | Location::Replicated(_) => None,
        };
        Entry {
            name: profile.name.as_str().into(),
            interface: ArcSwap::from_pointee(Interface::new(profile, &location)),
            location,
            queue: Mutex::new(RequestQueue::new(
                options.concurrency,
                options.queue_length,
                &options.method_concurrency,
            )),
            options,
            status: AtomicU8::new(has_replicas | Status::Inactive as u8),
            number,
            lifecycle: Mutex::new(Lifecycle::new()),
            permissions: AtomicUsize::new(0),
            activations: AtomicU64::new(0),
            announced: AtomicBool::new(false),
            deactivations: AtomicU64::new(0),
            transition_since: AtomicU64::new(0),
            deactivated: Notify::new(),
            interrupt: Notify::new(),
            updated_early: AtomicBool::new(false),
            outgoing: Mutex::default(),
            pending_changes: Mutex::default(),
            emitter,
            listens_to: Mutex::default(),
            turn: plugin.unwrap_or(number),
            traces: Arc::new(TraceLimit::per_peer()),
        }
    }

    /// Calls `trace` with the plugin's name and the number of traces left out, unless this plugin has caused too many.
    pub(super) fn warn(&self, trace: impl FnOnce(&str, u64)) {
        if let Some(left_out) = self.traces.pass() {
            trace(&self.name, left_out);
        }
    }

    /// Traces how many traces about this plugin were left out, when there may be no next one to say so.
    pub(super) fn trace_left_out(&self) {
        let limits = self.remote().into_iter().flat_map(|remote| remote.trace_limits()).chain([&*self.traces]);
        let left_out: u64 = limits.filter_map(TraceLimit::take_left_out).sum();
        if left_out > 0 {
            tracing::warn!(plugin = &*self.name, left_out, "traces over the limit were left out");
        }
        for replica in self.replicas() {
            replica.trace_left_out();
        }
    }

    /// Touches several cache lines that a call reads, so that the processor fetches them concurrently: the atomic
    /// operations of a call would otherwise serialize these reads.
    pub(super) fn fetch(&self) {
        black_box((self.status(), self.queue.is_poisoned(), self.options.queue_timeout));
    }

    pub(super) fn interface(&self) -> arc_swap::Guard<Arc<Interface>> {
        self.interface.load()
    }

    /// Its profile; of a replica, that of its plugin.
    pub(super) fn profile(&self) -> Profile {
        match self.membership().map(|membership| membership.plugin.upgrade()) {
            Some(plugin) => plugin.map_or_else(|| Profile::new(&*self.name), |plugin| plugin.profile()),
            None => self.interface.load().profile.clone(),
        }
    }

    /// Replaces the profile with the result of `update`, which is called again after a concurrent update.
    ///
    /// # Errors
    /// The error of `update`.
    pub(super) fn update_profile<E>(&self, update: impl Fn(&Profile) -> Result<Profile, E>) -> Result<(), E> {
        let mut interface = self.interface.load();
        loop {
            let updated = Arc::new(Interface::new(update(&interface.profile)?, &self.location));
            let before = self.interface.compare_and_swap(&*interface, updated);
            if Arc::ptr_eq(&before, &interface) {
                return Ok(());
            }
            interface = before;
        }
    }

    /// Sets the methods from the handshake. Returns whether this changed anything for other plugins.
    pub(super) fn set_methods(&self, methods: Vec<String>) -> bool {
        match self.membership() {
            Some(membership) => membership.set_methods(methods),
            None => self.update_methods(|| Some(methods.clone())),
        }
    }

    /// Sets the methods to the result of `methods`, if any, which is called again after a concurrent update. Returns
    /// whether this changed anything.
    pub(super) fn update_methods(&self, methods: impl Fn() -> Option<Vec<String>>) -> bool {
        struct Unchanged;
        let updated = self.update_profile(|profile| match methods() {
            Some(methods) if profile.methods.as_ref() != Some(&methods) => {
                Ok(Profile { methods: Some(methods), ..profile.clone() })
            }
            _ => Err(Unchanged),
        });
        updated.is_ok()
    }

    pub(super) fn status(&self) -> Status {
        match self.status.load(Ordering::Acquire) & !HAS_REPLICAS {
            0 => Status::Inactive,
            1 => Status::Activating,
            2 => Status::Active,
            _ => Status::Deactivating,
        }
    }

    pub(super) fn set_status(&self, status: Status) {
        let has_replicas = if let Location::Replicated(_) = self.location { HAS_REPLICAS } else { 0 };
        self.status.store(has_replicas | status as u8, Ordering::Release);
    }

    /// A number that differs for each activation.
    pub(super) fn activation(&self) -> u64 {
        self.activations.load(Ordering::Acquire)
    }

    /// Ends the activation: from here on the plugin may not act.
    pub(super) fn end_activation(&self) {
        self.set_status(Status::Inactive);
        self.activations.fetch_add(1, Ordering::AcqRel);
        self.deactivated.notify_waiters();
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.status(), Status::Active | Status::Deactivating)
    }

    /// Whether calls may reach the plugin. An activation hook may wait for work that calls back, so, as in the
    /// published engine, which does not wait for hooks, calls are allowed as soon as the hook has started; behind a
    /// link, once the handshake is answered.
    pub(super) fn may_be_called(&self) -> bool {
        match self.status() {
            Status::Inactive => false,
            Status::Activating => self.link_state().is_none_or(|state| state.borrow().is_up()),
            Status::Active | Status::Deactivating => true,
        }
    }

    /// Whether calls may reach the plugin at its one place, and need not wait for an activation.
    pub(super) fn may_be_called_directly(&self) -> bool {
        let status = self.status.load(Ordering::Acquire);
        status == Status::Active as u8 || status == Status::Deactivating as u8
    }

    pub(super) fn awaits_permission(&self) -> bool {
        self.permissions.load(Ordering::Acquire) > 0
    }

    /// Changes the lifecycle and the state derived from it atomically.
    pub(super) fn advance<E>(
        &self,
        clock: &LogicalClock,
        change: impl FnOnce(&mut Lifecycle<Waiter>) -> Effects<Waiter, E>,
    ) -> Effects<Waiter, E> {
        let mut lifecycle = lock(&self.lifecycle);
        let effects = change(&mut lifecycle);
        match effects.begin {
            Some(_) => self.transition_since.store(clock.tick(), Ordering::Release),
            None if !lifecycle.in_transition() => self.transition_since.store(0, Ordering::Release),
            None => {}
        }
        self.set_status(match lifecycle.state() {
            State::Registered | State::Removed => Status::Inactive,
            State::Activating => Status::Activating,
            State::Active => Status::Active,
            State::Deactivating if effects.begin.is_some() => Status::Deactivating,
            State::Deactivating => return effects,
        });
        effects
    }

    /// The manager is active from the start.
    pub(super) fn begin_active(&self) {
        *lock(&self.lifecycle) = Lifecycle::active();
        self.set_status(Status::Active);
    }

    /// Abandons the current transition and returns all waiters.
    pub(super) fn abandon(&self) -> Vec<Waiter> {
        let mut lifecycle = lock(&self.lifecycle);
        self.transition_since.store(0, Ordering::Release);
        lifecycle.abandon()
    }

    pub(crate) fn instance(&self) -> Option<Arc<Instance>> {
        match &self.location {
            Location::Local(instance) => Some(Arc::clone(instance)),
            Location::Remote(_) | Location::Replicated(_) => None,
        }
    }

    /// The link of a plugin that has exactly one, or of a replica.
    pub(super) fn remote(&self) -> Option<&Arc<RemotePlugin>> {
        match &self.location {
            Location::Local(_) | Location::Replicated(_) => None,
            Location::Remote(remote) => Some(remote),
        }
    }

    pub(super) fn replica_set(&self) -> Option<&Arc<ReplicaSet>> {
        match &self.location {
            Location::Local(_) | Location::Remote(_) => None,
            Location::Replicated(set) => Some(set),
        }
    }

    /// Set for a replica.
    pub(super) fn membership(&self) -> Option<&Membership> {
        self.remote()?.membership.as_deref()
    }

    /// Its replicas, if it has any.
    pub(super) fn replicas(&self) -> Vec<Arc<Entry>> {
        self.replica_set().map(|set| set.members()).unwrap_or_default()
    }

    /// The number of the plugin in whose name it acts, which for a replica is not its own.
    pub(super) fn acts_as(&self) -> u64 {
        self.membership().map_or(self.number, |membership| membership.plugin_number)
    }

    /// The plugin that a replica belongs to, or else the plugin itself.
    pub(super) fn plugin(self: &Arc<Self>) -> Arc<Entry> {
        let plugin = self.membership().and_then(|membership| membership.plugin.upgrade());
        plugin.unwrap_or_else(|| Arc::clone(self))
    }

    /// The state of its link, or of those of its replicas taken together.
    pub(super) fn link_state(&self) -> Option<&watch::Sender<LinkState>> {
        match &self.location {
            Location::Local(_) => None,
            Location::Remote(remote) => Some(&remote.state),
            Location::Replicated(set) => Some(&set.state),
        }
    }

    /// Its links: none, one, or those of its replicas.
    pub(super) fn links(&self) -> SmallVec<[Arc<RemotePlugin>; 1]> {
        match &self.location {
            Location::Local(_) => SmallVec::new(),
            Location::Remote(remote) => smallvec![Arc::clone(remote)],
            Location::Replicated(set) => set.members().iter().filter_map(|replica| replica.remote().cloned()).collect(),
        }
    }

    /// Ends its links at once, without notifying their other ends.
    pub(super) fn abort_links(&self) {
        if let Some(set) = self.replica_set() {
            set.end();
        }
        for link in self.links() {
            link.abort();
        }
        if let Some(set) = self.replica_set() {
            set.forget_found();
        }
    }

    /// Whether the tasks that keep its links up have ended; `false` if it has none.
    pub(super) fn has_no_task(&self) -> bool {
        match &self.location {
            Location::Local(_) => false,
            Location::Remote(remote) => remote.has_no_task(),
            Location::Replicated(set) => set.has_no_task(),
        }
    }

    /// Whether it is borrowed from another engine.
    pub(super) fn is_lent(&self) -> bool {
        self.remote().is_some_and(|remote| remote.is_lent())
    }

    /// The trace of the call that the plugin runs, if it runs exactly one: then a request of a peer that knows no traces
    /// belongs to that call, as far as the engine can know.
    pub(super) fn trace_of_its_only_call(&self) -> Option<Arc<Scope>> {
        let trace = lock(&self.queue).only_running()?.scope.get()?.trace.clone()?;
        Some(Scope::of_trace(trace))
    }

    /// Ends the queued calls of a caller that has become inactive, and those of its replicas.
    pub(super) fn end_calls_by(&self, caller: &Entry) {
        for replica in self.replicas() {
            replica.end_calls_by(caller);
        }
        let matching = lock(&self.queue).matching(&caller.name, None);
        let is_by = |by: &Entry| std::ptr::eq(by, caller) || by.acts_as() == caller.number;
        for call in matching.into_iter().filter(|call| is_by(&call.caller)) {
            call.end_caller_gone();
        }
    }

    /// Sends the calls that wait for this replica to others.
    pub(super) fn move_waiting_calls(&self) {
        let all = lock(&self.queue).all();
        for call in all {
            call.end_elsewhere();
        }
    }

    /// Ends all calls to this plugin, running or queued.
    pub(super) fn end_calls(&self) {
        for call in lock(&self.queue).all() {
            call.end_target_gone();
        }
    }
}

/// The engine may have been dropped without a shutdown.
impl Drop for Entry {
    fn drop(&mut self) {
        self.trace_left_out();
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry").field("name", &self.name).field("status", &self.status()).finish_non_exhaustive()
    }
}

/// The registry: an immutable snapshot, read without locking.
pub(super) type Registry = HashMap<Name, Arc<Entry>>;
