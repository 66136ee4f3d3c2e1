//! Events: subscriptions, stored last occurrences and fan-out.

use std::sync::{Arc, Mutex};

use foldhash::HashMap;
use smallvec::SmallVec;

use super::Inner;
use super::access::Operation;
use super::entry::Entry;
use super::remote::RemotePlugin;
use super::router::may_act;
use crate::error::Refusal;
use crate::plugin::{Callback, run_callback};
use crate::sync::lock;
use crate::wire::{Name, Payload};

/// The events of one plugin, which need not be registered: subscriptions may precede registration.
#[derive(Default)]
pub(crate) struct Emitter {
    events: Mutex<HashMap<Name, Heard>>,
}

/// An event that has had a subscriber. From then on its last occurrence is stored.
struct Heard {
    name: Name,
    /// Shared with a running fan-out, which therefore needs no lock.
    listeners: Arc<Vec<Subscription>>,
    /// With the number of its emitter, because a name may pass to another plugin.
    last: Option<(u64, Payload)>,
    /// Number of occurrences.
    occurred: u64,
}

#[derive(Clone)]
struct Subscription {
    listener: Name,
    /// The listener's number, because its name may pass to another plugin.
    owner: u64,
    /// [`PUBLISHED`], or a unique id.
    id: u64,
    once: bool,
    /// The stored event is being delivered, and newer ones must not overtake it: see [`catch_up`](Inner::catch_up).
    waits: bool,
    deliver: Delivery,
}

/// The single subscription per listener and event made by `on` and `once`, as in the published engine.
const PUBLISHED: u64 = 0;

/// How an event reaches a listener.
#[derive(Clone)]
enum Delivery {
    Local(Callback),
    Remote(Arc<RemotePlugin>),
}

/// Maximum number of stored events of one emitter, including those without subscribers.
const MOST_EVENTS: usize = 4096;

/// Maximum deliveries of newer stored events to a new listener before it switches to live events. Reached only by a
/// listener that is slower than the event occurs.
const MOST_ROUNDS: usize = 64;

impl Inner {
    /// Handles `on` and `once` of a plugin in this process.
    pub(crate) fn listen(
        &self,
        listener: &Arc<Entry>,
        emitter: &str,
        event: &str,
        once: bool,
        callback: Callback,
    ) -> Result<(), Refusal> {
        self.subscribe(listener, emitter.into(), event.into(), PUBLISHED, once, Delivery::Local(callback))
    }

    /// A separate subscription, ended by [`end_subscription`](Inner::end_subscription) with the returned id.
    pub(crate) fn listen_apart(
        &self,
        listener: &Arc<Entry>,
        emitter: &str,
        event: &str,
        callback: Callback,
    ) -> Result<u64, Refusal> {
        let id = self.moments.next();
        self.subscribe(listener, emitter.into(), event.into(), id, false, Delivery::Local(callback))?;
        Ok(id)
    }

    /// Handles `on` and `once` over a link.
    pub(super) fn listen_over_link(
        &self,
        listener: &Arc<Entry>,
        emitter: Name,
        event: Name,
        once: bool,
        link: Arc<RemotePlugin>,
    ) -> Result<(), Refusal> {
        self.subscribe(listener, emitter, event, PUBLISHED, once, Delivery::Remote(link))
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
        may_act(listener, || format!("It cannot listen on event {event} of plugin {emitter}."))?;
        self.check_access(&listener.name, &emitter, Operation::Listen { event: &event })?;
        let too_many = |limit| Refusal::TooManyListeners {
            name: listener.name.to_string(),
            event: event.to_string(),
            emitter: emitter.to_string(),
            limit,
        };
        let key = (emitter.clone(), event.clone(), id);
        let mut listens_to = lock(&listener.listens_to);
        // Checked before anything is stored for the listener.
        if !listens_to.contains(&key) && listens_to.len() >= listener.options.max_subscriptions {
            return Err(too_many(listener.options.max_subscriptions));
        }
        // Held until the subscription is added, because the emitter might be removed meanwhile.
        let mut emitters = lock(&self.emitters);
        let source = Arc::clone(emitters.entry(emitter.clone()).or_default());
        let mut events = lock(&source.events);
        let mut forgotten = None;
        if !events.contains_key(&event) && events.len() >= MOST_EVENTS {
            // Evicts an event without subscribers. Events with subscribers are bounded by their listeners' own limits,
            // so that one listener cannot prevent others from subscribing.
            let idle = events.values().find(|heard| heard.listeners.is_empty()).map(|heard| heard.name.clone());
            forgotten = idle.and_then(|idle| events.remove(&idle));
        }
        let heard = events.entry(event.clone()).or_insert_with(|| Heard::new(event.clone()));
        let last = heard.last.as_ref().map(|(_, args)| args.clone()).filter(|_| {
            // On a new subscription after an outage, the events kept for the plugin include the last one; it is not
            // delivered twice.
            let kept = matches!(&deliver, Delivery::Remote(remote) if remote.keeps(&emitter, &event));
            once || !kept || !heard.has(listener.number, id)
        });
        let (mut removed, mut catches_up) = (Vec::new(), None);
        if once && last.is_some() {
            // The next occurrence is the stored one: as in the published engine, this ends the subscription.
            removed = heard.remove(listener.number, id);
            listens_to.remove(&key);
        } else if !heard.has(listener.number, id) {
            listens_to.insert(key);
            let (name, owner, waits) = (listener.name.clone(), listener.number, last.is_some());
            let subscription = Subscription { listener: name, owner, id, once, waits, deliver: deliver.clone() };
            Arc::make_mut(&mut heard.listeners).push(subscription);
            catches_up = waits.then_some(heard.occurred);
        } else if let (Delivery::Remote(_), false, Some(there)) = (&deliver, once, heard.find(listener.number, id)) {
            there.once = false;
        }
        drop((events, emitters, listens_to));
        drop((removed, forgotten));
        if let Some(args) = last {
            deliver.event(&listener.name, &emitter, &event, &args);
        }
        if let Some(occurred) = catches_up {
            self.catch_up(&source, &emitter, &event, (listener.number, id), occurred);
        }
        Ok(())
    }

    /// After a new listener has received the stored event, delivers any newer ones until none is left; then switches it
    /// to live events.
    fn catch_up(&self, source: &Emitter, emitter: &Name, event: &Name, (owner, id): (u64, u64), mut occurred: u64) {
        for round in 0.. {
            let mut events = lock(&source.events);
            let Some(heard) = events.get_mut(event) else { return };
            let newer = heard.last.as_ref().filter(|_| heard.occurred != occurred && round < MOST_ROUNDS);
            let newer = newer.map(|(_, args)| args.clone());
            occurred = heard.occurred;
            // The listener itself may have unsubscribed meanwhile.
            let Some(subscription) = heard.find(owner, id) else { return };
            let Some(args) = newer else { return subscription.waits = false };
            let (listener, deliver) = (subscription.listener.clone(), subscription.deliver.clone());
            drop(events);
            deliver.event(&listener, emitter, event, &args);
        }
    }

    pub(crate) fn unlisten(&self, listener: &Arc<Entry>, emitter: &str, event: &str) -> Result<(), Refusal> {
        may_act(listener, || "All event listeners are already removed.".to_owned())?;
        let all: Vec<_> =
            lock(&listener.listens_to).iter().filter(|key| key.0 == emitter && key.1 == event).cloned().collect();
        for key in &all {
            self.unsubscribe(listener, key);
        }
        Ok(())
    }

    /// Ends a subscription made with [`listen_apart`](Inner::listen_apart), and no other.
    pub(crate) fn end_subscription(&self, listener: &Entry, emitter: &str, event: &str, id: u64) {
        self.unsubscribe(listener, &(emitter.into(), event.into(), id));
    }

    fn unsubscribe(&self, listener: &Entry, key: &(Name, Name, u64)) {
        let (emitter, event, id) = key;
        let mut removed = Vec::new();
        let mut listens_to = lock(&listener.listens_to);
        if listens_to.remove(key)
            && let Some(source) = lock(&self.emitters).get(emitter)
            && let Some(heard) = lock(&source.events).get_mut(event)
        {
            removed = heard.remove(listener.number, *id);
        }
        drop(listens_to);
        drop(removed);
        self.forget_stranger(emitter);
    }

    /// Removes the events of an unregistered plugin without subscribers.
    pub(super) fn forget_stranger(&self, emitter: &Name) {
        let mut emitters = lock(&self.emitters);
        let unheard = |source: &Arc<Emitter>| lock(&source.events).values().all(|heard| heard.listeners.is_empty());
        if self.find(emitter).is_none() && emitters.get(emitter).is_some_and(unheard) {
            let stranger = emitters.remove(emitter);
            drop(emitters);
            drop(stranger);
        }
    }

    /// Removes all subscriptions of a deactivated plugin, and its stored events.
    pub(super) fn forget_events(&self, entry: &Entry) {
        let all: Vec<_> = lock(&entry.listens_to).iter().cloned().collect();
        for key in all {
            self.unsubscribe(entry, &key);
        }
        let mut events = lock(&entry.emitter.events);
        let its = |heard: &mut Heard| heard.last.take_if(|(emitter, _)| *emitter == entry.number);
        let remembered: Vec<_> = events.values_mut().filter_map(its).collect();
        drop(events);
        // Dropped without a lock: a value's `Drop` may do anything.
        drop(remembered);
    }

    /// Delivers an event to all subscribers, without waiting for them.
    pub(crate) fn emit(&self, emitter: &Arc<Entry>, event: &str, args: Payload) -> Result<(), Refusal> {
        may_act(emitter, || format!("It cannot emit the event {event}"))?;
        let mut events = lock(&emitter.emitter.events);
        let Some(heard) = events.get_mut(event) else { return Ok(()) };
        let (event, listeners) = (heard.name.clone(), Arc::clone(&heard.listeners));
        let before = heard.last.replace((emitter.number, args.clone()));
        heard.occurred += 1;
        let once: SmallVec<[(Name, u64); 1]> =
            listeners.iter().filter(|one| one.once).map(|one| (one.listener.clone(), one.owner)).collect();
        if !once.is_empty() {
            Arc::make_mut(&mut heard.listeners).retain(|one| !one.once);
        }
        drop(events);
        // Dropped without a lock: a value's `Drop` may do anything.
        drop(before);
        let key = (emitter.name.clone(), event.clone(), PUBLISHED);
        let still_there = |(name, owner): &(Name, u64)| self.find(name).filter(|entry| entry.number == *owner);
        for listener in once.iter().filter_map(still_there) {
            let mut listens_to = lock(&listener.listens_to);
            // Unless it has subscribed again meanwhile.
            if !lock(&emitter.emitter.events).get(&event).is_some_and(|heard| heard.has(listener.number, PUBLISHED)) {
                listens_to.remove(&key);
            }
        }
        for one in listeners.iter().filter(|one| !one.waits) {
            one.deliver.event(&one.listener, &emitter.name, &event, &args);
        }
        Ok(())
    }
}

impl Heard {
    fn new(name: Name) -> Heard {
        Heard { name, listeners: Arc::default(), last: None, occurred: 0 }
    }

    fn has(&self, owner: u64, id: u64) -> bool {
        self.listeners.iter().any(|one| one.id == id && one.owner == owner)
    }

    fn find(&mut self, owner: u64, id: u64) -> Option<&mut Subscription> {
        Arc::make_mut(&mut self.listeners).iter_mut().find(|one| one.id == id && one.owner == owner)
    }

    /// Returns what was removed: a callback may own anything, so it must be dropped without holding a lock.
    #[must_use]
    fn remove(&mut self, owner: u64, id: u64) -> Vec<Subscription> {
        Arc::make_mut(&mut self.listeners).extract_if(.., |one| one.id == id && one.owner == owner).collect()
    }
}

impl Delivery {
    fn event(&self, listener: &str, emitter: &Name, event: &Name, args: &Payload) {
        match self {
            Delivery::Local(callback) => run_callback(callback, listener, emitter, event, args),
            Delivery::Remote(remote) => remote.notify(emitter.clone(), event.clone(), args.clone()),
        }
    }
}
