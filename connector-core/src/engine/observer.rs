//! What an engine tells its observers.

use std::ops::{BitOr, Sub};
use std::time::Duration;

use super::link_state::LinkState;
use super::running_calls::RunningCalls;
use crate::error::CallError;
use crate::wire::{DecodeError, Message, Payload, TraceContext};

/// Watches an engine: see [`Engine::observe`](crate::Engine::observe).
///
/// Closures that take an [`Observation`] are observers.
pub trait Observer: Send + Sync + 'static {
    /// Something has happened. Runs where it happens, often while a caller waits or a link's task runs, so it must be
    /// quick and must not block: count it, or pass it to a bounded queue with `try_send`. It may run on several threads at
    /// once. What it does with the engine is observed as well: an observer that emits an event for each event recurses
    /// without end. A panic is traced, and the other observers and the engine continue.
    fn observe(&self, observation: &Observation<'_>);

    /// What it is to be told; the rest costs nothing. Asked once, when it is attached. Default: [`Interests::ALL`].
    fn interests(&self) -> Interests {
        Interests::ALL
    }

    /// It is attached to an engine. From now on it can ask for the calls that run there, for example to show them without
    /// being told of each call's start. Default: does nothing.
    fn attached(&self, running: RunningCalls) {
        drop(running);
    }

    /// The trace context that continues with a call to its target, in place of the caller's: for example that of a span
    /// that the observer has begun for it. Called at most once for each call, after the
    /// observer was told that it has [started](Observation::CallStarted), under the same conditions as
    /// [`observe`](Observer::observe). Of several observers, the one that was attached first and returns a context decides. Default: the caller's context continues.
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

/// Kinds of [`Observation`]s: see [`Observer::interests`].
///
/// ```
/// use connector_core::Interests;
///
/// let all_but_messages = Interests::ALL - Interests::MESSAGES;
/// let only_outcomes = Interests::CALL_ENDED | Interests::LINK;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Interests(pub(super) u8);

impl Interests {
    /// [`Observation::CallQueued`].
    pub const CALL_QUEUED: Interests = Interests(1);
    /// [`Observation::CallWaits`], and the [`Observation::CallStarted`] of calls that have waited.
    pub const CALL_WAITS: Interests = Interests(1 << 1);
    /// [`Observation::CallStarted`].
    pub const CALL_STARTED: Interests = Interests(1 << 2);
    /// [`Observation::CallEnded`].
    pub const CALL_ENDED: Interests = Interests(1 << 3);
    /// [`Observation::Event`].
    pub const EVENT: Interests = Interests(1 << 4);
    /// [`Observation::Link`].
    pub const LINK: Interests = Interests(1 << 5);
    /// [`Observation::Message`] and [`Observation::BadFrame`], which are most of what happens.
    pub const MESSAGES: Interests = Interests(1 << 6);
    /// All observations, also those of later versions.
    pub const ALL: Interests = Interests(u8::MAX);

    /// All observations of calls.
    pub(super) const CALLS: Interests = Interests(0b1111);

    pub(super) fn contain_any_of(self, others: Interests) -> bool {
        self.0 & others.0 != 0
    }
}

impl BitOr for Interests {
    type Output = Interests;

    fn bitor(self, others: Interests) -> Interests {
        Interests(self.0 | others.0)
    }
}

impl Sub for Interests {
    type Output = Interests;

    fn sub(self, others: Interests) -> Interests {
        Interests(self.0 & !others.0)
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
    /// A call does not run at once: its target is busy, or is activated for it. Between its
    /// [`CallQueued`](Observation::CallQueued) and its [`CallStarted`](Observation::CallStarted), at most once.
    CallWaits {
        /// The call.
        call: ObservedCall<'a>,
    },
    /// A call has left the queue, and runs.
    CallStarted {
        /// The call.
        call: ObservedCall<'a>,
        /// Time for which it waited: in the queue, and for an activation on demand.
        waited: Duration,
        /// The URL of a target behind a link, without its secrets.
        url: Option<&'a str>,
        /// The name of the replica that runs it, if the target has replicas. It may run again at another one if its
        /// method is idempotent.
        replica: Option<&'a str>,
    },
    /// A call has ended. Each [`CallQueued`](Observation::CallQueued) is followed by exactly one of these.
    CallEnded {
        /// The call.
        call: ObservedCall<'a>,
        /// Time for which it waited.
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

impl Observation<'_> {
    /// The kinds of a call's start.
    pub(super) fn kind_of_start(call: &ObservedCall<'_>) -> Interests {
        match call.has_waited {
            true => Interests::CALL_STARTED | Interests::CALL_WAITS,
            false => Interests::CALL_STARTED,
        }
    }

    pub(super) fn kind(&self) -> Interests {
        match self {
            Observation::CallQueued { .. } => Interests::CALL_QUEUED,
            Observation::CallWaits { .. } => Interests::CALL_WAITS,
            Observation::CallStarted { call, .. } => Observation::kind_of_start(call),
            Observation::CallEnded { .. } => Interests::CALL_ENDED,
            Observation::Event { .. } => Interests::EVENT,
            Observation::Link { .. } => Interests::LINK,
            Observation::Message { .. } | Observation::BadFrame { .. } => Interests::MESSAGES,
        }
    }
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
    /// Whether it did not run at once: see [`CallWaits`](Observation::CallWaits).
    pub has_waited: bool,
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
