//! Subscribing to events, and their fan-out.

use std::sync::Arc;

use smallvec::SmallVec;

use super::EngineState;
use super::access::Operation;
use super::bounds::check_names;
use super::emitter::{Delivery, Emitter, EventState, OVERHEAD, Subscription};
use super::entry::Entry;
use super::remote::RemotePlugin;
use super::router::may_act;
use crate::client::EventBuffer;
use crate::error::Refusal;
use crate::plugin::Callback;
use crate::sync::lock;
use crate::wire::{Name, Payload};

/// The single subscription per listener and event made by `on` and `once`, as in the published engine.
pub(super) const PUBLISHED: u64 = 0;

/// When an emitter has this many events, one without subscribers is evicted to make room for a new one.
const MAX_EVENTS: usize = 4096;

/// Maximum deliveries of newer stored events to a new listener before it switches to live events. Reached only by a
/// listener that is slower than the event's rate.
const MAX_CATCH_UP_ROUNDS: usize = 64;

impl EngineState {
    /// Handles `on` and `once` of a plugin in this process.
    pub(crate) fn listen(
        &self,
        listener: &Arc<Entry>,
        emitter: &str,
        event: &str,
        once: bool,
        callback: Callback,
    ) -> Result<(), Refusal> {
        self.subscribe(
            listener,
            emitter.into(),
            event.into(),
            PUBLISHED,
            once,
            Delivery::Local(callback, Arc::clone(&listener.traces), None),
        )
    }

    /// A separate subscription whose callback fills `buffer`, ended by [`end_subscription`](EngineState::end_subscription)
    /// with the returned id.
    pub(crate) fn listen_separately(
        &self,
        listener: &Arc<Entry>,
        emitter: &str,
        event: &str,
        callback: Callback,
        buffer: Arc<EventBuffer>,
    ) -> Result<u64, Refusal> {
        let id = self.clock.tick();
        self.subscribe(
            listener,
            emitter.into(),
            event.into(),
            id,
            false,
            Delivery::Local(callback, Arc::clone(&listener.traces), Some(buffer)),
        )?;
        Ok(id)
    }

    /// Handles `on` and `once` over a link.
    pub(super) fn listen_over_link(
        &self,
        listener: &Arc<Entry>,
        emitter: Name,
        event: Name,
        once: bool,
        remote: Arc<RemotePlugin>,
    ) -> Result<(), Refusal> {
        self.subscribe(listener, emitter, event, PUBLISHED, once, Delivery::Remote(remote))
    }

    /// One subscription per listener, event and id. A second request only delivers the stored event again. Over a link,
    /// `on` turns a one-time subscription into a lasting one: it may stem from an earlier session, and both callbacks
    /// may exist.
    fn subscribe(
        &self,
        listener: &Arc<Entry>,
        emitter: Name,
        event: Name,
        id: u64,
        once: bool,
        deliver: Delivery,
    ) -> Result<(), Refusal> {
        check_names(&emitter, &event)?;
        may_act(listener, || format!("It cannot listen on event {event} of plugin {emitter}."))?;
        self.check_access(&listener.traces, &listener.name, &emitter, Operation::Listen { event: &event })?;
        let too_many = |limit| Refusal::TooManyListeners {
            name: listener.name.to_string(),
            event: event.to_string(),
            emitter: emitter.to_string(),
            limit,
        };
        let key = (emitter.clone(), event.clone(), id);
        let mut listens_to = lock(&listener.listens_to);
        // Checked before anything is stored for the listener.
        let mut charge = None;
        if !listens_to.contains_key(&key) {
            if listens_to.len() >= listener.options.max_subscriptions {
                return Err(too_many(listener.options.max_subscriptions));
            }
            let budget = listener.remote().map(|remote| remote.outbox.budget());
            let charged = budget.map(|budget| budget.charge(OVERHEAD + emitter.len() + event.len())).transpose();
            charge = charged.map_err(|over| Refusal::OverBudgetToListen {
                name: listener.name.to_string(),
                event: event.to_string(),
                emitter: emitter.to_string(),
                why: over.to_string(),
            })?;
        }
        // Held until the subscription is added, because the emitter might be removed meanwhile.
        let mut emitters = lock(&self.emitters);
        let source = Arc::clone(emitters.entry(emitter.clone()).or_default());
        let mut events = lock(&source.events);
        let mut forgotten = None;
        if !events.contains_key(&event) && events.len() >= MAX_EVENTS {
            // Evicts an event without subscribers. Events with subscribers are bounded by their listeners' own limits,
            // so that one listener cannot prevent others from subscribing.
            let idle = events.values().find(|state| state.listeners.is_empty()).map(|state| state.name.clone());
            forgotten = idle.and_then(|idle| events.remove(&idle));
        }
        let state = events.entry(event.clone()).or_insert_with(|| EventState::new(event.clone()));
        let last = state.last.as_ref().map(|last| last.args.clone()).filter(|_| {
            // On a new subscription after an outage, the events kept for the plugin include the last one; it is not
            // delivered twice.
            let queued = matches!(&deliver, Delivery::Remote(remote) if remote.has_queued_event(&emitter, &event));
            once || !queued || !state.has(listener.number, id)
        });
        let (mut removed, mut catch_up_from) = (Vec::new(), None);
        if once && last.is_some() {
            // The next occurrence is the stored one: as in the published engine, this ends the subscription.
            removed = state.remove(listener.number, id);
            listens_to.remove(&key);
        } else if !state.has(listener.number, id) {
            listens_to.insert(key, charge);
            let (name, owner, catching_up) = (listener.name.clone(), listener.number, last.is_some());
            let subscription = Subscription { listener: name, owner, id, once, catching_up, deliver: deliver.clone() };
            Arc::make_mut(&mut state.listeners).push(subscription);
            catch_up_from = catching_up.then_some(state.occurred);
        } else if let (Delivery::Remote(_), false, Some(there)) = (&deliver, once, state.find(listener.number, id)) {
            there.once = false;
        }
        drop((events, emitters, listens_to));
        drop((removed, forgotten));
        if let Some(args) = last {
            deliver.event(&listener.name, &emitter, &event, &args);
        }
        if let Some(occurred) = catch_up_from {
            self.catch_up(&source, &emitter, &event, (listener.number, id), occurred);
        }
        self.tell_lender(&emitter, &event);
        Ok(())
    }

    /// After a new listener has received the stored event, delivers any newer ones until none is left; then switches it
    /// to live events.
    fn catch_up(&self, source: &Emitter, emitter: &Name, event: &Name, (owner, id): (u64, u64), mut occurred: u64) {
        for round in 0.. {
            let mut events = lock(&source.events);
            let Some(state) = events.get_mut(event) else { return };
            let newer = state.last.as_ref().filter(|_| state.occurred != occurred && round < MAX_CATCH_UP_ROUNDS);
            let newer = newer.map(|last| last.args.clone());
            occurred = state.occurred;
            // The listener itself may have unsubscribed meanwhile.
            let Some(subscription) = state.find(owner, id) else { return };
            let Some(args) = newer else { return subscription.catching_up = false };
            let (listener, deliver) = (subscription.listener.clone(), subscription.deliver.clone());
            drop(events);
            deliver.event(&listener, emitter, event, &args);
        }
    }

    pub(crate) fn unlisten(&self, listener: &Arc<Entry>, emitter: &str, event: &str) -> Result<(), Refusal> {
        may_act(listener, || "All event listeners are already removed.".to_owned())?;
        let all: Vec<_> =
            lock(&listener.listens_to).keys().filter(|key| key.0 == emitter && key.1 == event).cloned().collect();
        for key in &all {
            self.unsubscribe(listener, key, false);
        }
        Ok(())
    }

    /// Ends a subscription made with [`listen_separately`](EngineState::listen_separately), and no other.
    pub(crate) fn end_subscription(&self, listener: &Entry, emitter: &str, event: &str, id: u64) {
        self.unsubscribe(listener, &(emitter.into(), event.into(), id), false);
    }

    /// With `forgets`, an event without listeners that has not been stored is treated as if it never had any.
    fn unsubscribe(&self, listener: &Entry, key: &(Name, Name, u64), forgets: bool) {
        let (emitter, event, id) = key;
        let mut removed = Vec::new();
        let mut listens_to = lock(&listener.listens_to);
        if listens_to.remove(key).is_some()
            && let Some(source) = lock(&self.emitters).get(emitter)
        {
            let mut events = lock(&source.events);
            if let Some(state) = events.get_mut(event) {
                removed = state.remove(listener.number, *id);
                if forgets && state.listeners.is_empty() && state.last.is_none() {
                    events.remove(event);
                }
            }
        }
        drop(listens_to);
        drop(removed);
        self.tell_lender(emitter, event);
        self.forget_unregistered(emitter);
    }

    /// A subscription has begun or ended, which matters to the engine that lends the emitter.
    fn tell_lender(&self, emitter: &Name, event: &Name) {
        if let Some(entry) = self.find(emitter) {
            entry.links().iter().for_each(|remote| remote.listened(event.clone()));
        }
    }

    /// Removes the events of an unregistered plugin without subscribers.
    pub(super) fn forget_unregistered(&self, emitter: &Name) {
        let mut emitters = lock(&self.emitters);
        let has_no_listeners =
            |source: &Arc<Emitter>| lock(&source.events).values().all(|state| state.listeners.is_empty());
        if self.find(emitter).is_none() && emitters.get(emitter).is_some_and(has_no_listeners) {
            let removed = emitters.remove(emitter);
            drop(emitters);
            drop(removed);
        }
    }

    /// Removes all subscriptions of a deactivated plugin, and its stored events.
    pub(super) fn forget_events(&self, entry: &Entry) {
        let all: Vec<_> = lock(&entry.listens_to).keys().cloned().collect();
        for key in all {
            self.unsubscribe(entry, &key, true);
        }
        let mut events = lock(&entry.emitter.events);
        let take_own = |state: &mut EventState| state.last.take_if(|last| last.emitter == entry.number);
        let remembered: Vec<_> = events.values_mut().filter_map(take_own).collect();
        drop(events);
        // Dropped without a lock: a value's `Drop` may do anything.
        drop(remembered);
    }

    /// Delivers an event to all subscribers, without waiting for them.
    pub(crate) fn emit(&self, emitter: &Arc<Entry>, event: &str, args: Payload) -> Result<(), Refusal> {
        may_act(emitter, || format!("It cannot emit the event {event}"))?;
        let mut events = lock(&emitter.emitter.events);
        let Some(state) = events.get_mut(event) else {
            drop(events);
            self.observers.event(&emitter.name, event, &args, 0);
            return Ok(());
        };
        let (event, listeners) = (state.name.clone(), Arc::clone(&state.listeners));
        let (before, stored) = state.remember(emitter, &args);
        state.occurred += 1;
        let once: SmallVec<[(Name, u64); 1]> =
            listeners.iter().filter(|one| one.once).map(|one| (one.listener.clone(), one.owner)).collect();
        if !once.is_empty() {
            Arc::make_mut(&mut state.listeners).retain(|one| !one.once);
        }
        drop(events);
        // Dropped without a lock: a value's `Drop` may do anything.
        drop(before);
        if let (Err(over), Some(remote)) = (stored, emitter.remote()) {
            remote.trace_unstored(&over);
        }
        let key = (emitter.name.clone(), event.clone(), PUBLISHED);
        let still_there = |(name, owner): &(Name, u64)| {
            let entry = self.find(name)?;
            entry.replicas().into_iter().chain([entry]).find(|entry| entry.number == *owner)
        };
        for listener in once.iter().filter_map(still_there) {
            let mut listens_to = lock(&listener.listens_to);
            // Unless it has subscribed again meanwhile.
            if !lock(&emitter.emitter.events).get(&event).is_some_and(|state| state.has(listener.number, PUBLISHED)) {
                listens_to.remove(&key);
            }
            drop(listens_to);
            self.tell_lender(&emitter.name, &event);
        }
        self.observers.event(&emitter.name, &event, &args, listeners.len());
        for one in listeners.iter().filter(|one| !one.catching_up) {
            one.deliver.event(&one.listener, &emitter.name, &event, &args);
        }
        Ok(())
    }
}
