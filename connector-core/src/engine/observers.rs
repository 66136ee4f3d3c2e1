//! An engine's observers, and the calls that they observe. Without an observer, each place costs a branch.

use std::fmt;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::EngineState;
use super::entry::Entry;
use super::observer::{CallOutcome, Interests, Observation, ObservedCall, Observer};
use super::running_calls::RunningCalls;
use crate::error::CallError;
use crate::guard;
use crate::plugin::Scope;
use crate::runtime::{self, Instant};
use crate::sync::lock;
use crate::trace_limit::TraceLimit;
use crate::wire::{Name, Payload, TraceContext};

/// Keeps an observer attached: see [`Engine::observe`](crate::Engine::observe).
#[must_use = "dropping it detaches the observer"]
pub struct Observing {
    observers: Arc<Observers>,
    attached: Arc<Attached>,
}

impl Drop for Observing {
    fn drop(&mut self) {
        let changing = lock(&self.observers.changing);
        let others =
            self.observers.list.load().iter().filter(|other| !Arc::ptr_eq(other, &self.attached)).cloned().collect();
        self.observers.replace(changing, others);
    }
}

impl fmt::Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observing").finish_non_exhaustive()
    }
}

struct Attached {
    observer: Box<dyn Observer>,
    interests: Interests,
    /// How many were attached before, and with it.
    number: u64,
    /// Ends with this.
    _is_attached: Arc<()>,
}

type List = Vec<Arc<Attached>>;

/// The observers of an engine.
pub(crate) struct Observers {
    /// Of all of them.
    interests: AtomicU8,
    list: ArcSwap<List>,
    /// How many have been attached. Never ahead of the list.
    attached: AtomicU64,
    calls: AtomicU64,
    /// Held while they change.
    changing: Mutex<()>,
    /// Of panics.
    traces: TraceLimit,
}

impl Observers {
    pub(super) fn new() -> Observers {
        Observers {
            interests: AtomicU8::new(0),
            list: ArcSwap::default(),
            attached: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            changing: Mutex::default(),
            traces: TraceLimit::default(),
        }
    }

    pub(super) fn add(self: &Arc<Self>, engine: Weak<EngineState>, observer: impl Observer) -> Observing {
        let (interests, observer, is_attached) = (observer.interests(), Box::new(observer), Arc::new(()));
        let running = RunningCalls::new(engine, Arc::downgrade(&is_attached));
        guard::call(&self.traces, "engine", "an observer", || observer.attached(running));
        let changing = lock(&self.changing);
        let number = self.attached.load(Ordering::Relaxed) + 1;
        let attached = Arc::new(Attached { observer, interests, number, _is_attached: is_attached });
        self.replace(changing, self.list.load().iter().chain([&attached]).cloned().collect());
        Observing { observers: Arc::clone(self), attached }
    }

    fn replace(&self, changing: MutexGuard<'_, ()>, list: List) {
        let interests = list.iter().fold(0, |all, attached| all | attached.interests.0);
        let last = list.last().map(|attached| attached.number);
        let before = self.list.swap(Arc::new(list));
        self.interests.store(interests, Ordering::Release);
        self.attached.fetch_max(last.unwrap_or_default(), Ordering::Release);
        drop(changing);
        // Dropping an observer runs foreign code.
        drop(before);
    }

    /// Whether any of them wants one of these.
    pub(super) fn want(&self, interests: Interests) -> bool {
        Interests(self.interests.load(Ordering::Relaxed)).contain_any_of(interests)
    }

    pub(super) fn tell(&self, observation: &Observation<'_>) {
        self.tell_first(u64::MAX, observation, |_| {});
    }

    /// Tells those that were attached first.
    fn tell_first(&self, number: u64, observation: &Observation<'_>, mut then: impl FnMut(&dyn Observer)) {
        let kind = observation.kind();
        let wants = |one: &&Arc<Attached>| one.number <= number && one.interests.contain_any_of(kind);
        for attached in self.list.load().iter().filter(wants) {
            guard::call(&self.traces, "engine", "an observer", || {
                attached.observer.observe(observation);
                then(&*attached.observer);
            });
        }
    }

    pub(super) fn event(&self, emitter: &str, event: &str, args: &Payload, listeners: usize) {
        if self.want(Interests::EVENT) {
            self.tell(&Observation::Event { emitter, event, args, listeners });
        }
    }

    /// Observes a call until its end, if they want any.
    #[inline]
    pub(super) fn call<'a>(
        &'a self,
        from: &'a Name,
        to: &'a str,
        method: &'a str,
        scope: Option<Arc<Scope>>,
        args: &Payload,
    ) -> OngoingCall<'a> {
        let mut call = OngoingCall {
            observers: None,
            attached: 0,
            number: 0,
            from,
            to,
            method,
            scope,
            waits_since: None,
            started: None,
        };
        if self.want(Interests::CALLS) {
            call.observers = Some(self);
            call.attached = self.attached.load(Ordering::Acquire);
            call.number = self.calls.fetch_add(1, Ordering::Relaxed) + 1;
            if self.want(Interests::CALL_QUEUED) {
                self.tell_first(call.attached, &Observation::CallQueued { call: call.seen(), args }, |_| {});
            }
        }
        call
    }
}

/// Tells the observers of a call's progress and its end, also if its future is dropped.
pub(crate) struct OngoingCall<'a> {
    /// Until it has ended, if it is observed.
    observers: Option<&'a Observers>,
    /// How many had been attached when it began: later ones would see its end without its beginning.
    attached: u64,
    number: u64,
    from: &'a Name,
    pub(super) to: &'a str,
    pub(super) method: &'a str,
    /// The caller's.
    pub(super) scope: Option<Arc<Scope>>,
    waits_since: Option<Instant>,
    started: Option<Instant>,
}

impl OngoingCall<'_> {
    /// Those who want this.
    fn observers(&self, interests: Interests) -> Option<&Observers> {
        self.observers.filter(|observers| observers.want(interests))
    }

    fn seen(&self) -> ObservedCall<'_> {
        let trace = self.scope.as_ref().and_then(|scope| scope.trace.as_ref());
        let OngoingCall { number, from, to, method, .. } = *self;
        ObservedCall { number, from, to, method, trace, has_waited: self.waits_since.is_some() }
    }

    fn waited(&self, until: Instant) -> Duration {
        self.waits_since.map_or(Duration::ZERO, |since| until.duration_since(since))
    }

    pub(super) fn waits(&mut self) {
        // A call that moves to another replica has started.
        if self.waits_since.is_none() && self.started.is_none() {
            self.waits_since = Some(runtime::now());
            if let Some(observers) = self.observers(Interests::CALL_WAITS) {
                observers.tell_first(self.attached, &Observation::CallWaits { call: self.seen() }, |_| {});
            }
        }
    }

    /// Returns the trace context with which an observer lets the call continue. A call that runs again at another
    /// replica has started once.
    pub(super) fn starts(&mut self, now: Instant, target: &Entry) -> Option<TraceContext> {
        if self.started.is_some() {
            return None;
        }
        self.started = Some(now);
        let call = self.seen();
        let observers = self.observers(Observation::kind_of_start(&call))?;
        let (url, replica) = target.remote().map(|remote| (&*remote.redacted_url, remote.replica())).unzip();
        let started = Observation::CallStarted { call, waited: self.waited(now), url, replica: replica.flatten() };
        let mut trace = None;
        observers.tell_first(self.attached, &started, |observer| {
            if trace.is_none() {
                trace = observer.trace(&call);
            }
        });
        trace
    }

    pub(super) fn ended(&mut self, outcome: &Result<Payload, CallError>) {
        self.end(match outcome {
            Ok(result) => CallOutcome::Returned(result),
            Err(error) => CallOutcome::Failed(error),
        });
    }

    fn end(&mut self, outcome: CallOutcome<'_>) {
        if let Some(observers) = self.observers.take().filter(|observers| observers.want(Interests::CALL_ENDED)) {
            let now = runtime::now();
            let waited = self.waited(self.started.unwrap_or(now));
            let ran = self.started.map(|started| now.duration_since(started));
            let ended = Observation::CallEnded { call: self.seen(), waited, ran, outcome };
            observers.tell_first(self.attached, &ended, |_| {});
        }
    }
}

impl Drop for OngoingCall<'_> {
    fn drop(&mut self) {
        self.end(CallOutcome::Dropped);
    }
}
