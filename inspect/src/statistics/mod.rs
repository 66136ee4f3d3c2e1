//! Counts the calls, events and links' states of an engine.

mod counters;
mod links;
mod snapshot;

use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use connector_core::{
    CallError, CallOutcome, Excerpt, Interests, LinkState, Observation, ObservedCall, Observer, Refusal, RunningCalls,
};
use foldhash::fast::RandomState;
use hashbrown::HashTable;

use self::counters::Counters;
use self::links::Links;
pub use self::links::{LinkEntry, LinkStatus};
pub use self::snapshot::{
    CallerStatistics, Calls, EdgeStatistics, EventStatistics, LastError, Latency, MethodStatistics, PluginDetails,
    PluginStatistics, Snapshot,
};
use crate::redact::{HIDDEN, Redaction};
use crate::text::{beginning, micros, plugin_of};

/// Enough that a snapshot holds up a call for less than a millisecond, even if all entries are in use.
const SHARDS: usize = 64;
/// Entries of each kind in a shard: together 65,536 pairs of a caller and a method, and as many events.
const MAX_ENTRIES: usize = 1024;
/// Entries of a shard whose names may be made up: the caller is a plugin of another engine, or no call has run, so that the
/// method may not exist. Together 16,384.
const MAX_DOUBTFUL: usize = MAX_ENTRIES / 4;
/// Maximum length of a name, in bytes.
pub(crate) const MAX_NAME: usize = 1024;
/// Stands for plugins that are not registered, methods that are not exposed, and what exceeds the limits.
const OTHER: &str = "_OTHER";

/// Counts the calls, events and links' states of an engine: an observer to attach with
/// [`Engine::observe`](connector_core::Engine::observe). Cheap to clone; clones share the counts.
///
/// It counts up to 65,536 pairs of a caller and a method, and as many events; further ones are counted together as `_OTHER`, as
/// are calls to plugins that are not registered and methods that are not exposed. At most a quarter of the pairs are of names
/// that may be made up: a caller with a slash in its name, which another engine has chosen, or a method that has not run. It
/// keeps the last 32 states of up to 16,384 links.
///
/// ```
/// use connector_core::{Engine, Plugin};
/// use connector_inspect::Statistics;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new();
/// let statistics = Statistics::new();
/// let _observing = engine.observe(statistics.clone());
///
/// engine.register(Plugin::new("clock").method("hour", || async { 12 }))?;
/// let app = engine.register(Plugin::new("app"))?;
/// engine.manager().activate("app").await?;
/// app.call::<u8>("clock", "hour", ()).await?;
///
/// let clock = &statistics.snapshot().plugins["clock"];
/// assert_eq!((clock.calls.calls, clock.calls.errors), (1, 0));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Statistics(Arc<Shared>);

struct Shared {
    began: Instant,
    redaction: Arc<Redaction>,
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
    // PERF: docs/performance.md, "Observers": being told of each call's start costs more than asking for those that run.
    /// The running calls of the engines.
    running: Mutex<Vec<RunningCalls>>,
    links: Mutex<Links>,
}

#[derive(Default)]
struct Shard {
    edges: HashTable<Edge>,
    /// How many of the edges are doubtful.
    doubtful: usize,
    events: HashTable<EventCount>,
}

/// The calls of a plugin to a method.
struct Edge {
    from: Box<str>,
    /// As the caller named it: a plugin or the path of a service.
    to: Box<str>,
    method: Box<str>,
    /// See [`MAX_DOUBTFUL`].
    is_doubtful: bool,
    counters: Counters,
}

struct EventCount {
    emitter: Box<str>,
    event: Box<str>,
    count: u64,
    listeners: usize,
    last: u64,
}

impl Statistics {
    /// Without any counts.
    #[allow(clippy::new_without_default, reason = "the clock starts")]
    pub fn new() -> Statistics {
        Statistics::since(Instant::now(), Arc::default())
    }

    /// Whose times count from that moment, and whose errors have no secrets.
    pub(crate) fn since(began: Instant, redaction: Arc<Redaction>) -> Statistics {
        Statistics(Arc::new(Shared {
            began,
            redaction,
            hasher: RandomState::default(),
            shards: std::array::from_fn(|_| Mutex::default()),
            running: Mutex::default(),
            links: Mutex::default(),
        }))
    }

    /// Microseconds since the beginning.
    pub(crate) fn now(&self) -> u64 {
        micros(self.0.began.elapsed())
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        lock(&self.0.shards[number_of_shard(hash)])
    }

    fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.0.shards.iter().map(lock)
    }

    /// Changes the counters of a call's edge, which may be created.
    fn update(&self, [from, to, method]: [&str; 3], has_run: bool, change: impl FnOnce(&mut Counters)) {
        let [from, to, method] = [from, to, method].map(|name| beginning(name, MAX_NAME));
        let hash = self.0.hasher.hash_one((from, to, method));
        let is_doubtful = !has_run || is_guest(from);
        let mut shard = self.shard(hash);
        let Shard { edges, doubtful, .. } = &mut *shard;
        if let Some(edge) = edges.find_mut(hash, |edge| edge.names() == (from, to, method)) {
            if edge.is_doubtful && !is_doubtful {
                edge.is_doubtful = false;
                *doubtful -= 1;
            }
            return change(&mut edge.counters);
        }
        let is_full = edges.len() >= MAX_ENTRIES || is_doubtful && *doubtful >= MAX_DOUBTFUL;
        if is_full && from != OTHER {
            drop(shard);
            return self.update([OTHER; 3], has_run, change);
        }
        *doubtful += usize::from(is_doubtful);
        let mut counters = Counters::default();
        change(&mut counters);
        let edge = Edge { from: from.into(), to: to.into(), method: method.into(), is_doubtful, counters };
        edges.insert_unique(hash, edge, |edge| self.0.hasher.hash_one(edge.names()));
    }

    /// Counts the running calls. They are the counts of this moment while the guard is held.
    fn count_running(&self) -> MutexGuard<'_, Vec<RunningCalls>> {
        let engines = lock(&self.0.running);
        for mut shard in self.shards() {
            shard.edges.iter_mut().for_each(|edge| edge.counters.runs_no_more());
        }
        for running in &*engines {
            running.for_each(|call| self.update([call.from, call.to, call.method], true, Counters::runs));
        }
        engines
    }

    fn ended(&self, call: &ObservedCall<'_>, waited: Duration, ran: Option<Duration>, outcome: &CallOutcome<'_>) {
        let error = match outcome {
            CallOutcome::Failed(error) => Some(LastError {
                at: self.now(),
                from: beginning(call.from, MAX_NAME).into(),
                method: beginning(call.method, MAX_NAME).into(),
                text: self.shown(error).into(),
            }),
            _ => None,
        };
        let is_dropped = matches!(outcome, CallOutcome::Dropped);
        let end = |counters: &mut Counters| counters.ended(waited, ran, is_dropped, error);
        if ran.is_some() {
            return self.update(names(call), true, end);
        }
        if call.has_waited {
            self.update(names(call), false, Counters::waits_no_more);
        }
        // What does not exist has names that are not the engine's: they would fill the table.
        self.update(
            match unknown(outcome) {
                None => names(call),
                Some(Unknown::Plugin) => [call.from, OTHER, OTHER],
                Some(Unknown::Method) => [call.from, plugin_of(call.to), OTHER],
            },
            false,
            end,
        );
    }

    fn shown(&self, error: &CallError) -> String {
        if self.0.redaction.is_empty() {
            return Excerpt::new(error).to_string();
        }
        let json = error.to_payload().to_json().ok().and_then(|json| String::from_utf8(json.to_vec()).ok());
        match json.and_then(|json| self.0.redaction.apply(json, &[])) {
            Some(json) => Excerpt::new(serde_json::from_str(&json).unwrap_or(json)).to_string(),
            None => HIDDEN.to_owned(),
        }
    }

    fn event(&self, emitter: &str, event: &str, listeners: usize) {
        let [emitter, event] = [emitter, event].map(|name| beginning(name, MAX_NAME));
        let hash = self.0.hasher.hash_one((emitter, event));
        let last = self.now();
        let mut shard = self.shard(hash);
        let is_same = |known: &EventCount| *known.event == *event && *known.emitter == *emitter;
        if let Some(known) = shard.events.find_mut(hash, is_same) {
            known.count += 1;
            (known.listeners, known.last) = (listeners, last);
            return;
        }
        if shard.events.len() >= MAX_ENTRIES && emitter != OTHER {
            drop(shard);
            return self.event(OTHER, OTHER, listeners);
        }
        let count = EventCount { emitter: emitter.into(), event: event.into(), count: 1, listeners, last };
        let hasher = &self.0.hasher;
        shard.events.insert_unique(hash, count, |known| hasher.hash_one((&*known.emitter, &*known.event)));
    }

    /// Records the state of a plugin's link.
    pub(crate) fn link(&self, plugin: &str, state: &LinkState) {
        let now = self.now();
        lock(&self.0.links).record(plugin, state, now);
    }
}

fn number_of_shard(hash: u64) -> usize {
    // The table inside uses the other bits.
    (hash >> 32) as usize % SHARDS
}

/// Whether the caller is a plugin of another engine, to which a plugin is lent: `engine/plugin`.
fn is_guest(caller: &str) -> bool {
    caller.contains('/')
}

fn names<'a>(call: &ObservedCall<'a>) -> [&'a str; 3] {
    [call.from, call.to, call.method]
}

impl Edge {
    fn names(&self) -> (&str, &str, &str) {
        (&self.from, &self.to, &self.method)
    }
}

enum Unknown {
    Plugin,
    Method,
}

/// Whether a call failed because what it named does not exist.
fn unknown(outcome: &CallOutcome<'_>) -> Option<Unknown> {
    let CallOutcome::Failed(CallError::Refused(refusal)) = outcome else { return None };
    match **refusal {
        Refusal::NotRegistered { .. } | Refusal::NameTooLong { .. } => Some(Unknown::Plugin),
        Refusal::NotExposed { .. } => Some(Unknown::Method),
        _ => None,
    }
}

impl Observer for Statistics {
    fn interests(&self) -> Interests {
        Interests::CALL_WAITS | Interests::CALL_ENDED | Interests::EVENT | Interests::LINK
    }

    fn attached(&self, running: RunningCalls) {
        let mut engines = lock(&self.0.running);
        engines.retain(|running| !running.has_ended());
        engines.push(running);
    }

    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::CallWaits { call, .. } => self.update(names(call), false, Counters::waits),
            Observation::CallStarted { call, .. } => self.update(names(call), true, Counters::waits_no_more),
            Observation::CallEnded { call, waited, ran, outcome } => self.ended(call, *waited, *ran, outcome),
            Observation::Event { emitter, event, listeners, .. } => self.event(emitter, event, *listeners),
            Observation::Link { plugin, replica: None, state } => self.link(plugin, state),
            _ => {}
        }
    }
}

impl fmt::Debug for Statistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statistics").finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
