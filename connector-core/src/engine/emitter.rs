//! An emitter: its events, their subscriptions and their last occurrences.

use std::sync::{Arc, Mutex};

use foldhash::HashMap;
use smallvec::SmallVec;

use super::entry::Entry;
use super::remote::RemotePlugin;
use super::subscriber_capacity::EventQueue;
use crate::client::EventBuffer;
use crate::memory_budget::{Charge, OverBudget};
use crate::plugin::{Callback, run_callback};
use crate::sync::lock;
use crate::trace_limit::TraceLimit;
use crate::wire::{Name, Payload};

/// The events of one plugin, which need not be registered: subscriptions may precede registration.
#[derive(Default)]
pub(crate) struct Emitter {
    pub(super) events: Mutex<HashMap<Name, EventState>>,
}

/// An event that has had a subscriber. From then on its last occurrence is stored.
pub(super) struct EventState {
    pub(super) name: Name,
    /// Shared with a running fan-out, which therefore needs no lock.
    pub(super) listeners: Arc<Vec<Subscription>>,
    pub(super) last: Option<Occurrence>,
    /// Number of occurrences.
    pub(super) occurred: u64,
}

/// A stored event.
pub(super) struct Occurrence {
    /// The number of its emitter, because a name may pass to another plugin.
    pub(super) emitter: u64,
    pub(super) args: Payload,
    /// To the emitter, if it is behind a link.
    pub(super) charge: Option<Charge>,
}

/// What a stored event occupies in addition to its arguments and name, and a subscription in addition to its names.
pub(super) const OVERHEAD: usize = 512;

#[derive(Clone)]
pub(super) struct Subscription {
    pub(super) listener: Name,
    /// The listener's number, because its name may pass to another plugin.
    pub(super) owner: u64,
    /// [`PUBLISHED`], or a unique id.
    pub(super) id: u64,
    pub(super) once: bool,
    /// The stored event is being delivered, and newer ones must not overtake it: see [`catch_up`](EngineState::catch_up).
    pub(super) catching_up: bool,
    pub(super) deliver: Delivery,
}

/// How an event reaches a listener; at a local one, with the limit for its traces and the buffer of a stream.
#[derive(Clone)]
pub(super) enum Delivery {
    Local(Callback, Arc<TraceLimit>, Option<Arc<EventBuffer>>),
    Remote(Arc<RemotePlugin>),
}

impl Emitter {
    /// The events that somebody listens to.
    pub(super) fn listened(&self) -> Vec<Name> {
        let events = lock(&self.events);
        events.values().filter(|state| !state.listeners.is_empty()).map(|state| state.name.clone()).collect()
    }

    pub(super) fn is_listened(&self, event: &str) -> bool {
        lock(&self.events).get(event).is_some_and(|state| !state.listeners.is_empty())
    }

    /// Forgets the last occurrence of an event that nobody listens to.
    pub(super) fn forget(&self, event: &str) {
        let mut events = lock(&self.events);
        let state = events.get_mut(event).filter(|state| state.listeners.is_empty());
        let last = state.and_then(|state| state.last.take());
        drop(events);
        // A value's `Drop` may do anything.
        drop(last);
    }

    /// Where the event waits for its subscribers. The subscriptions themselves may end while an emitter waits.
    pub(super) fn queues(&self, event: &str) -> SmallVec<[EventQueue; 4]> {
        let listeners = lock(&self.events).get(event).map(|state| Arc::clone(&state.listeners));
        let queue = |one: &Subscription| match &one.deliver {
            Delivery::Local(_, _, buffer) => buffer.clone().map(EventQueue::Stream),
            Delivery::Remote(remote) => Some(EventQueue::Link(Arc::clone(remote))),
        };
        listeners.iter().flat_map(|listeners| listeners.iter()).filter_map(queue).collect()
    }
}

impl EventState {
    pub(super) fn new(name: Name) -> EventState {
        EventState { name, listeners: Arc::default(), last: None, occurred: 0 }
    }

    /// Stores an occurrence in place of the last one, which it returns. If it exceeds the emitter's budget, none is
    /// stored.
    pub(super) fn remember(&mut self, emitter: &Entry, args: &Payload) -> (Option<Occurrence>, Result<(), OverBudget>) {
        let mut before = self.last.take();
        let charge = match emitter.remote() {
            None => None,
            Some(remote) => {
                let own = remote.outbox.budget();
                // The last one may have been a replica's, which has its own budget.
                let same = before
                    .as_mut()
                    .and_then(|last| last.charge.take_if(|charge| std::ptr::eq(charge.budget(), &**own)));
                let mut charge = same.unwrap_or_else(|| own.empty());
                if let Err(over) = charge.resize(OVERHEAD + self.name.len() + args.weight()) {
                    return (before, Err(over));
                }
                Some(charge)
            }
        };
        self.last = Some(Occurrence { emitter: emitter.acts_as(), args: args.clone(), charge });
        (before, Ok(()))
    }

    pub(super) fn has(&self, owner: u64, id: u64) -> bool {
        self.listeners.iter().any(|one| one.id == id && one.owner == owner)
    }

    pub(super) fn find(&mut self, owner: u64, id: u64) -> Option<&mut Subscription> {
        Arc::make_mut(&mut self.listeners).iter_mut().find(|one| one.id == id && one.owner == owner)
    }

    /// Returns what was removed: a callback may own anything, so it must be dropped without holding a lock.
    #[must_use]
    pub(super) fn remove(&mut self, owner: u64, id: u64) -> Vec<Subscription> {
        Arc::make_mut(&mut self.listeners).extract_if(.., |one| one.id == id && one.owner == owner).collect()
    }
}

impl Delivery {
    pub(super) fn event(&self, listener: &str, emitter: &Name, event: &Name, args: &Payload) {
        match self {
            Delivery::Local(callback, traces, _) => run_callback(callback, traces, listener, emitter, event, args),
            Delivery::Remote(remote) => remote.notify(emitter.clone(), event.clone(), args.clone()),
        }
    }
}
