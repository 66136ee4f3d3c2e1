//! Work that passes from one engine to another and may come back (docs/protocol.md, section 6.8).
//!
//! A call to a lent plugin names what runs here, by a number that only this engine can make. When the lender calls back for
//! that work, the call is made by the borrowed plugin, as if that ran here: then [`reentrancy`](super::reentrancy) knows
//! what waits for what.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::EngineState;
use super::call::Call;
use super::entry::Entry;
use super::reentrancy::{call_is_circular, lent_calls_behind};
use crate::error::Refusal;
use crate::excerpt::cut;
use crate::plugin::Scope;
use crate::sync::lock;
use crate::wire::CallChain;

/// The default of [`EngineBuilder::max_hops`](super::EngineBuilder::max_hops).
pub(super) const MAX_HOPS: u32 = 8;
/// The characters of an engine's name in a chain.
const MAX_ENGINE_NAME: usize = 64;

pub(super) struct Chains {
    /// Makes the numbers of runs, so that no other engine can guess one.
    key: RandomState,
    max_hops: u32,
    /// Whether a plugin has ever been borrowed.
    in_use: AtomicBool,
}

impl Chains {
    pub(super) fn new(max_hops: u32) -> Chains {
        Chains { key: RandomState::new(), max_hops, in_use: AtomicBool::new(false) }
    }

    pub(super) fn is_in_use(&self) -> bool {
        self.in_use.load(Ordering::Relaxed)
    }

    /// The turn of a borrower's plugins, over however many links they call. No other plugin's number is as high.
    pub(super) fn turn(&self, borrower: &str) -> u64 {
        self.key.hash_one(borrower) | 1 << 63
    }

    fn number(&self, call: &Call) -> u64 {
        self.key.hash_one(call.started())
    }

    /// A running call, as a chain names it.
    fn run(&self, call: &Call) -> String {
        let engine = call.target.options.engine_name.as_deref().filter(|name| !name.contains('/'));
        let engine: String = engine.unwrap_or("engine").chars().take(MAX_ENGINE_NAME).collect();
        format!("{engine}/{}#{:016x}", call.target.name, self.number(call))
    }

    /// # Errors
    /// The work has passed from one engine to another too often.
    pub(super) fn check(&self, chain: &CallChain, names: (&str, &str, &str)) -> Result<(), Refusal> {
        match chain.hops() {
            hops if hops <= self.max_hops => Ok(()),
            hops => {
                let way: Vec<_> = chain.runs().map(|run| run.rsplit_once('#').map_or(run, |(name, _)| name)).collect();
                let (target, method, caller) = names;
                let [target, method, caller] = [target, method, caller].map(|name| cut(name).into_owned());
                let (limit, chain) = (self.max_hops, cut(way.join(" → ")).into_owned());
                Err(Refusal::TooManyHops { target, caller, method, hops, limit, chain })
            }
        }
    }
}

/// What is known of the work of other engines that a call is made for. It stays the same if another replica is to run the
/// call.
pub(super) struct MadeFor {
    chain: Arc<CallChain>,
    waiting: Mutex<Waiting>,
}

/// Who waits for a call.
struct Waiting {
    /// The borrowed plugins whose calls wait for it: it is made for them at their own engines, or by work that they wait for.
    makers: Vec<Arc<Entry>>,
    /// What waits for it at other engines, in addition to its chain.
    runs: Vec<Box<str>>,
}

impl MadeFor {
    pub(super) fn new(chain: Arc<CallChain>, makers: Vec<Arc<Entry>>) -> Arc<MadeFor> {
        Arc::new(MadeFor { chain, waiting: Mutex::new(Waiting { makers, runs: Vec::new() }) })
    }

    pub(super) fn makers(&self) -> Vec<Arc<Entry>> {
        lock(&self.waiting).makers.clone()
    }

    /// Whether the call is the last run of its chain.
    fn is_run(&self, run: &str) -> bool {
        self.chain.runs().next_back() == Some(run)
    }

    /// Adds to `chain` all that waits for the call.
    fn add_to(&self, chain: &mut CallChain) {
        self.chain.runs().for_each(|run| chain.add(run));
        lock(&self.waiting).runs.iter().for_each(|run| chain.add(run));
    }

    /// Stores further runs that wait for the call. Returns those that were not known.
    fn add(&self, runs: &[&str]) -> Vec<Box<str>> {
        let mut waiting = lock(&self.waiting);
        let mut bytes = self.chain.bytes() + waiting.runs.iter().map(|run| run.len()).sum::<usize>();
        let mut added = Vec::new();
        for run in runs {
            let is_known = self.chain.runs().chain(waiting.runs.iter().map(|run| &**run)).any(|known| known == *run);
            let has_room = waiting.runs.len() < CallChain::MAX_RUNS && bytes + run.len() <= CallChain::MAX_BYTES;
            if !is_known && has_room {
                bytes += run.len();
                waiting.runs.push((*run).into());
                added.push((*run).into());
            }
        }
        added
    }
}

impl EngineState {
    /// What continues with a call to a lent plugin: the chain of the work that it is made for, and the call itself.
    ///
    /// # Errors
    /// The work has passed from one engine to another too often.
    pub(super) fn pass_to_lender(&self, call: &Call, scope: Option<Arc<Scope>>) -> Result<Arc<Scope>, Refusal> {
        self.chains.in_use.store(true, Ordering::Relaxed);
        let chain = waiting_for(call).extended(self.chains.run(call));
        self.chains.check(&chain, (&call.target.name, &call.method, &call.caller.name))?;
        Ok(Scope::with_chain(scope.as_ref(), chain))
    }

    /// A call has been passed to the lender: tells it what has begun to wait for the call since its chain was made.
    pub(super) fn passed_to_lender(&self, call: &Arc<Call>, scope: &Scope) {
        let known = |run: &str| scope.chain.iter().any(|chain| chain.runs().any(|known| known == run));
        let waiting: Vec<Box<str>> = waiting_for(call).runs().filter(|run| !known(run)).map(Box::from).collect();
        self.tell_lenders_of(call, &waiting);
    }

    /// The borrowed plugins with one of these runs.
    pub(super) fn makers<'a>(&self, runs: impl Iterator<Item = &'a str>) -> Vec<Arc<Entry>> {
        let mut makers: Vec<Arc<Entry>> = Vec::new();
        for run in runs {
            if let Some(maker) = self.maker(run)
                && !makers.iter().any(|known| Arc::ptr_eq(known, &maker))
            {
                makers.push(maker);
            }
        }
        makers
    }

    fn maker(&self, run: &str) -> Option<Arc<Entry>> {
        let (name, number) = run.rsplit_once('#')?;
        let number = u64::from_str_radix(number, 16).ok()?;
        let entry = self.find(name.split_once('/')?.1)?;
        with_replicas(entry).find(|one| lock(&one.queue).runs(|call| self.chains.number(call) == number))
    }

    /// A call waits: whatever waits for it now also waits for the calls to lent plugins behind it.
    #[cold]
    pub(super) fn tell_lenders(&self, call: &Arc<Call>) {
        let waiting: Vec<Box<str>> = waiting_for(call).runs().map(Box::from).collect();
        self.tell_lenders_of(call, &waiting);
    }

    fn tell_lenders_of(&self, call: &Arc<Call>, waiting: &[Box<str>]) {
        if waiting.is_empty() {
            return;
        }
        for lent in lent_calls_behind(call) {
            let mut runs = CallChain::of_runs(vec![self.chains.run(&lent).into()]);
            waiting.iter().for_each(|run| runs.add(run));
            if let Some(remote) = lent.target.remote() {
                remote.awaited(runs);
            }
        }
    }

    /// Further work at other engines waits for the call of the plugin that `runs` begins with.
    pub(super) fn awaited(&self, plugin: &str, runs: &CallChain) {
        let Some(target) = self.find(plugin) else { return };
        let mut runs = runs.runs();
        let Some(awaited) = runs.next() else { return };
        let waiting: Vec<&str> = runs.collect();
        let mut calls = Vec::new();
        for one in with_replicas(target) {
            lock(&one.queue).visit(|call, _| {
                if call.made_for().is_some_and(|made_for| made_for.is_run(awaited)) {
                    calls.push(Arc::clone(call));
                }
            });
        }
        for call in calls {
            let Some(made_for) = call.made_for() else { continue };
            let added = made_for.add(&waiting);
            for maker in self.makers(added.iter().map(|run| &**run)) {
                let mut waiting = lock(&made_for.waiting);
                if !waiting.makers.iter().any(|known| Arc::ptr_eq(known, &maker)) {
                    waiting.makers.push(Arc::clone(&maker));
                    drop(waiting);
                    lock(&maker.outgoing).push(Arc::clone(&call));
                    // It may have ended meanwhile, without knowing that it is listed there.
                    let mut is_there = false;
                    lock(&call.target.queue).visit(|other, _| is_there |= Arc::ptr_eq(other, &call));
                    if !is_there {
                        lock(&maker.outgoing).retain(|other| !Arc::ptr_eq(other, &call));
                    }
                }
            }
            if !call.has_started() && call_is_circular(&call) {
                call.let_through(&self.clock);
            } else {
                self.tell_lenders_of(&call, &added);
            }
        }
    }
}

/// A plugin, and its replicas if it has any: each has a queue.
fn with_replicas(plugin: Arc<Entry>) -> impl Iterator<Item = Arc<Entry>> {
    plugin.replicas().into_iter().chain([plugin])
}

/// All that waits for a call, as far as it has passed from one engine to another.
fn waiting_for(call: &Call) -> CallChain {
    let mut chain = CallChain::default();
    match call.made_for() {
        Some(made_for) => {
            chain.at_least(made_for.chain.hops());
            made_for.add_to(&mut chain);
        }
        // What its plugin runs now, or what that is made for.
        None => visit_work(call.requester(), |call, runs| match call.made_for() {
            Some(made_for) if runs => {
                chain.at_least(made_for.chain.hops());
                false
            }
            _ => runs,
        }),
    }
    visit_work(call.requester(), |call, _| {
        if let Some(made_for) = call.made_for() {
            made_for.add_to(&mut chain);
        }
        true
    });
    chain
}

/// Visits the calls of a plugin, with whether they run, and those of the plugins that make them if `see` returns `true`.
fn visit_work(plugin: &Arc<Entry>, mut see: impl FnMut(&Call, bool) -> bool) {
    let mut plugins = vec![Arc::clone(plugin)];
    let mut at = 0;
    while let Some(plugin) = plugins.get(at).cloned() {
        lock(&plugin.queue).visit(|call, runs| {
            let requester = call.requester();
            if see(call, runs) && !plugins.iter().any(|known| Arc::ptr_eq(known, requester)) {
                plugins.push(Arc::clone(requester));
            }
        });
        at += 1;
    }
}
