//! What an engine tells its observers. Without one, each place costs a branch.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::entry::Entry;
use super::link_state::LinkState;
use crate::error::CallError;
use crate::guard;
use crate::plugin::Scope;
use crate::runtime::{self, Instant};
use crate::trace_limit::TraceLimit;
use crate::wire::{DecodeError, Message, Name, Payload, TraceContext};

/// Watches an engine: see [`Engine::observe`](crate::Engine::observe).
///
/// Closures that take an [`Observation`] are observers.
pub trait Observer: Send + Sync + 'static {
    /// Something has happened. Runs where it happens, often while a caller waits or a link's task runs, so it must be
    /// quick and must not block: count it, or pass it to a bounded queue with `try_send`. It may run on several threads at
    /// once. What it does with the engine is observed as well: an observer that emits an event for each event recurses
    /// without end. A panic is traced, and the other observers and the engine continue.
    fn observe(&self, observation: &Observation<'_>);

    /// Whether it is to observe messages ([`Observation::Message`] and [`Observation::BadFrame`]), which are most of what
    /// happens. Asked once, when it is attached. Default: `true`.
    fn wants_messages(&self) -> bool {
        true
    }

    /// The trace context that continues with a call to its target, in place of the caller's: for example that of a span
    /// that the observer has begun for it. Called once for each call that runs, after its
    /// [`CallStarted`](Observation::CallStarted), under the same conditions as [`observe`](Observer::observe). Of several
    /// observers, the one that was attached first and returns a context decides. Default: the caller's context continues.
    fn trace(&self, call: &ObservedCall<'_>) -> Option<TraceContext> {
        let _ = call;
        None
    }
}

impl<F: Fn(&Observation<'_>) + Send + Sync + 'static> Observer for F {
    fn observe(&self, observation: &Observation<'_>) {
        self(observation);
    }
}

/// What happens in an engine.
///
/// Payloads are not parsed, and values that stay in this process are not serialized: [`Payload::to_json`] does that on
/// request. They may contain secrets.
#[derive(Debug)]
#[non_exhaustive]
pub enum Observation<'a> {
    /// A plugin calls a method of another. The call waits in the target's queue, or runs at once.
    CallQueued {
        /// The call.
        call: ObservedCall<'a>,
        /// Its arguments, an array.
        args: &'a Payload,
    },
    /// A call has left the queue, and runs.
    CallStarted {
        /// The call.
        call: ObservedCall<'a>,
        /// Time spent in the queue, which includes an activation on demand.
        waited: Duration,
    },
    /// A call has ended. Each [`CallQueued`](Observation::CallQueued) is followed by exactly one of these.
    CallEnded {
        /// The call.
        call: ObservedCall<'a>,
        /// Time spent in the queue.
        waited: Duration,
        /// Time spent running; `None` if the call was refused or ended before it ran.
        ran: Option<Duration>,
        /// How it ended.
        outcome: CallOutcome<'a>,
    },
    /// A plugin emits an event.
    Event {
        /// The emitter's name.
        emitter: &'a str,
        /// The event's name.
        event: &'a str,
        /// Its arguments, an array.
        args: &'a Payload,
        /// The number of subscriptions that receive it.
        listeners: usize,
    },
    /// The state of a plugin's link has changed, or another attempt to restore it has failed. For a plugin with
    /// [`Replicas`](crate::Replicas): that of a replica's link, or of all of them taken together.
    Link {
        /// The plugin's name.
        plugin: &'a str,
        /// The name of the replica whose link it is; `None` for that of a plugin with one link, and for those of all
        /// replicas together.
        replica: Option<&'a str>,
        /// The new state.
        state: &'a LinkState,
    },
    /// A message is passed to a link, or has been received from it.
    Message {
        /// The name of the plugin behind the link.
        plugin: &'a str,
        /// The name of the replica behind it, if it is one.
        replica: Option<&'a str>,
        /// The direction.
        direction: Direction,
        /// The message.
        message: &'a Message,
        /// Whether the link carries it without serializing the values in it ([`Link::moves_values`](crate::Link::moves_values)).
        moves_values: bool,
    },
    /// A received frame is not a message.
    BadFrame {
        /// The name of the plugin behind the link.
        plugin: &'a str,
        /// The name of the replica behind it, if it is one.
        replica: Option<&'a str>,
        /// Why it cannot be read.
        error: &'a DecodeError,
    },
}

/// The direction of a message between the engine and a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the engine to the plugin.
    ToPlugin,
    /// From the plugin to the engine.
    FromPlugin,
}

/// A call from one plugin to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservedCall<'a> {
    /// The same in all observations of a call, and unique in the engine.
    pub number: u64,
    /// The caller's name.
    pub from: &'a str,
    /// The target as the caller named it: a plugin's name, or the path of one of its services.
    pub to: &'a str,
    /// The method.
    pub method: &'a str,
    /// The trace that the call belongs to, if its caller has named one or the engine knows it.
    pub trace: Option<&'a TraceContext>,
    /// Once the call has started: the URL of a target behind a link, without its secrets.
    pub url: Option<&'a str>,
    /// Once the call has started: the name of the target's replica that runs it, if it has replicas.
    pub replica: Option<&'a str>,
}

/// How a call ended.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallOutcome<'a> {
    /// With a result.
    Returned(&'a Payload),
    /// With an error, of the method or of the engine.
    Failed(&'a CallError),
    /// The caller dropped it.
    Dropped,
}

/// Keeps an observer attached: see [`Engine::observe`](crate::Engine::observe).
#[must_use = "dropping it detaches the observer"]
pub struct Observing {
    observers: Arc<Observers>,
    attached: Arc<Attached>,
}

impl Drop for Observing {
    fn drop(&mut self) {
        self.attached.is_detached.store(true, Ordering::Relaxed);
        self.observers.change(|list| list.retain(|other| !Arc::ptr_eq(other, &self.attached)));
    }
}

impl fmt::Debug for Observing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observing").finish_non_exhaustive()
    }
}

struct Attached {
    observer: Box<dyn Observer>,
    wants_messages: bool,
    /// Ongoing calls keep their list of observers.
    is_detached: AtomicBool,
}

type List = Vec<Arc<Attached>>;

/// The observers of an engine.
pub(crate) struct Observers {
    /// Whether there are any.
    present: AtomicBool,
    /// Whether any wants messages.
    messages: AtomicBool,
    list: ArcSwap<List>,
    calls: AtomicU64,
    /// Of panics.
    traces: TraceLimit,
}

impl Observers {
    pub(super) fn new() -> Observers {
        Observers {
            present: AtomicBool::new(false),
            messages: AtomicBool::new(false),
            list: ArcSwap::default(),
            calls: AtomicU64::new(0),
            traces: TraceLimit::default(),
        }
    }

    pub(super) fn add(self: &Arc<Self>, observer: impl Observer) -> Observing {
        let wants_messages = observer.wants_messages();
        let observer = Box::new(observer);
        let attached = Arc::new(Attached { observer, wants_messages, is_detached: AtomicBool::new(false) });
        self.change(|list| list.push(Arc::clone(&attached)));
        Observing { observers: Arc::clone(self), attached }
    }

    fn change(&self, change: impl Fn(&mut List)) {
        self.list.rcu(|list| {
            let mut list = List::clone(list);
            change(&mut list);
            list
        });
        // Read again: of two changes at once, the last to get here has seen both.
        let list = self.list.load();
        self.present.store(!list.is_empty(), Ordering::SeqCst);
        self.messages.store(list.iter().any(|attached| attached.wants_messages), Ordering::SeqCst);
    }

    /// Whether anything needs to be told.
    pub(super) fn is_present(&self) -> bool {
        self.present.load(Ordering::Relaxed)
    }

    /// Whether any observer wants messages.
    pub(super) fn want_messages(&self) -> bool {
        self.messages.load(Ordering::Relaxed)
    }

    pub(super) fn tell(&self, observation: &Observation<'_>) {
        self.tell_those(&self.list.load(), observation);
    }

    fn tell_those(&self, list: &List, observation: &Observation<'_>) {
        let is_message = matches!(observation, Observation::Message { .. } | Observation::BadFrame { .. });
        let wants = |attached: &&Arc<Attached>| {
            !attached.is_detached.load(Ordering::Relaxed) && (attached.wants_messages || !is_message)
        };
        for attached in list.iter().filter(wants) {
            guard::call(&self.traces, "engine", "an observer", || attached.observer.observe(observation));
        }
    }

    fn trace(&self, list: &List, call: &ObservedCall<'_>) -> Option<TraceContext> {
        let mut attached = list.iter().filter(|attached| !attached.is_detached.load(Ordering::Relaxed));
        attached.find_map(|attached| {
            guard::call(&self.traces, "engine", "an observer", || attached.observer.trace(call)).flatten()
        })
    }

    pub(super) fn event(&self, emitter: &str, event: &str, args: &Payload, listeners: usize) {
        if self.is_present() {
            self.tell(&Observation::Event { emitter, event, args, listeners });
        }
    }

    /// A call to observe until its end.
    pub(super) fn call(
        self: &Arc<Self>,
        from: &Name,
        to: &str,
        method: &str,
        scope: Option<Arc<Scope>>,
        args: &Payload,
    ) -> OngoingCall {
        let call = OngoingCall {
            observers: Arc::clone(self),
            list: self.list.load_full(),
            number: self.calls.fetch_add(1, Ordering::Relaxed) + 1,
            from: from.clone(),
            to: to.into(),
            method: method.into(),
            scope,
            queued: runtime::now(),
            has_waited: false,
            started: None,
            has_ended: false,
        };
        call.tell(&Observation::CallQueued { call: call.seen(), args });
        call
    }
}

/// Tells the observers of a call's start and its end, also if its future is dropped.
pub(crate) struct OngoingCall {
    observers: Arc<Observers>,
    /// Those that were attached when it began: others would see its end without its beginning.
    list: Arc<List>,
    number: u64,
    from: Name,
    // PERF: docs/performance.md, "Observers": names up to 23 bytes are inline.
    to: Name,
    method: Name,
    scope: Option<Arc<Scope>>,
    queued: Instant,
    has_waited: bool,
    started: Option<(Instant, Arc<Entry>)>,
    has_ended: bool,
}

impl OngoingCall {
    fn tell(&self, observation: &Observation<'_>) {
        self.observers.tell_those(&self.list, observation);
    }

    fn seen(&self) -> ObservedCall<'_> {
        let trace = self.scope.as_ref().and_then(|scope| scope.trace.as_ref());
        let target = self.started.as_ref().and_then(|(_, target)| target.remote());
        let (url, replica) = (target.map(|remote| &*remote.redacted_url), target.and_then(|remote| remote.replica()));
        ObservedCall { number: self.number, from: &self.from, to: &self.to, method: &self.method, trace, url, replica }
    }

    pub(super) fn waits(&mut self) {
        self.has_waited = true;
    }

    /// Returns the trace context with which an observer lets the call continue. A call that runs again at another
    /// replica has started once.
    pub(super) fn started(&mut self, target: &Arc<Entry>) -> Option<TraceContext> {
        if let Some((_, before)) = &mut self.started {
            *before = Arc::clone(target);
            return None;
        }
        let now = if self.has_waited { runtime::now() } else { self.queued };
        self.started = Some((now, Arc::clone(target)));
        let waited = now.duration_since(self.queued);
        self.tell(&Observation::CallStarted { call: self.seen(), waited });
        self.observers.trace(&self.list, &self.seen())
    }

    pub(super) fn ended(&mut self, outcome: &Result<Payload, CallError>) {
        self.end(match outcome {
            Ok(result) => CallOutcome::Returned(result),
            Err(error) => CallOutcome::Failed(error),
        });
    }

    fn end(&mut self, outcome: CallOutcome<'_>) {
        if std::mem::replace(&mut self.has_ended, true) {
            return;
        }
        let (now, started) = (runtime::now(), self.started.as_ref().map(|(started, _)| started));
        let waited = started.unwrap_or(&now).duration_since(self.queued);
        let ran = started.map(|started| now.duration_since(*started));
        self.tell(&Observation::CallEnded { call: self.seen(), waited, ran, outcome });
    }
}

impl Drop for OngoingCall {
    fn drop(&mut self) {
        self.end(CallOutcome::Dropped);
    }
}
