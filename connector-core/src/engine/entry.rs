//! A registered plugin, as stored by the engine.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use foldhash::HashMap;
use tokio::sync::Notify;

use super::call::{Call, LogicalClock};
use super::emitter::Emitter;
use super::interface::Interface;
use super::lifecycle::{Effects, Lifecycle, State, Waiter};
use super::location::Location;
use super::options::PluginOptions;
use super::reentrancy::PendingChange;
use super::request_queue::RequestQueue;
use crate::memory_budget::Charge;
use crate::plugin::Scope;
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
