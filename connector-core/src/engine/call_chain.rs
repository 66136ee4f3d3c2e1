//! Work that passes from one engine to another and may come back (docs/protocol.md, section 6.7).
//!
//! A call to a lent plugin names what runs here, by a number that only this engine can make. When the lender calls back for
//! that work, the call is made by the borrowed plugin, as if that ran here: then [`reentrancy`](super::reentrancy) knows
//! what waits for what.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::EngineState;
use super::call::{Call, QueuedCall};
use super::entry::Entry;
use crate::error::Refusal;
use crate::excerpt::cut;
use crate::plugin::Scope;
use crate::sync::lock;
use crate::wire::CallChain;

/// The default of [`EngineBuilder::max_hops`](super::EngineBuilder::max_hops).
pub(super) const MAX_HOPS: u32 = 8;
/// The bytes of an engine's name in a chain.
const MAX_ENGINE_NAME: usize = 64;

pub(super) struct Chains {
    /// Makes the numbers of runs, so that no other engine can guess one.
    key: RandomState,
    pub(super) max_hops: u32,
}

impl Chains {
    pub(super) fn new(max_hops: u32) -> Chains {
        Chains { key: RandomState::new(), max_hops }
    }

    fn number(&self, call: &Call) -> u64 {
        self.key.hash_one(call.started())
    }

    /// A running call, as a chain names it.
    fn run(&self, call: &Call) -> String {
        let engine = call.target.options.engine_name.as_deref().filter(|name| !name.contains('/'));
        let engine = engine.map_or("engine".into(), |name| cut_name(name));
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

fn cut_name(name: &str) -> &str {
    &name[..name.floor_char_boundary(MAX_ENGINE_NAME)]
}

impl EngineState {
    /// What continues with a call to a lent plugin: the chain of the work that it is made for, and the call itself.
    ///
    /// # Errors
    /// The work has passed from one engine to another too often.
    #[cold]
    pub(super) fn pass_to_lender(
        &self,
        queued: &QueuedCall<'_>,
        scope: Option<Arc<Scope>>,
    ) -> Result<Arc<Scope>, Refusal> {
        let call = queued.call();
        let made_for = match scope.as_ref().and_then(|scope| scope.chain.as_deref()) {
            Some(chain) => chain.clone(),
            None => chain_of_work(call.requester()),
        };
        let chain = made_for.extended(self.chains.run(call));
        self.chains.check(&chain, (&call.target.name, &call.method, &call.caller.name))?;
        Ok(Scope::with_chain(scope.as_ref(), chain))
    }

    /// The borrowed plugin that makes a call with this chain, if the chain leads back to one of its runs.
    pub(super) fn maker(&self, chain: &CallChain) -> Option<Arc<Entry>> {
        chain.runs().rev().find_map(|run| {
            let (name, number) = run.rsplit_once('#')?;
            let number = u64::from_str_radix(number, 16).ok()?;
            let entry = self.find(name.split_once('/')?.1)?;
            let is_running = lock(&entry.queue).runs(|call| self.chains.number(call) == number);
            is_running.then_some(entry)
        })
    }
}

/// The chains of all work that a plugin may be doing for others, if its calls do not name theirs.
fn chain_of_work(plugin: &Arc<Entry>) -> CallChain {
    let (mut chain, mut seen, mut next) = (CallChain::default(), Vec::new(), vec![Arc::clone(plugin)]);
    while let Some(plugin) = next.pop() {
        if seen.iter().any(|seen| Arc::ptr_eq(seen, &plugin)) {
            continue;
        }
        for call in lock(&plugin.queue).running() {
            match call.scope.get().and_then(|scope| scope.chain.as_ref()) {
                Some(other) => chain = chain.merged(other),
                None => next.push(Arc::clone(call.requester())),
            }
        }
        seen.push(plugin);
    }
    chain
}
