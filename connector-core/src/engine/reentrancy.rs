//! Who waits for whom.
//!
//! A plugin runs one call at a time unless configured otherwise, so work that comes back to a plugin that is busy on its
//! behalf (X calls A, A calls B, B calls A) would wait for itself. So would an activation hook that has its own plugin
//! activated. A call that has to wait is therefore let through, and a request to change a plugin's state does not wait
//! for its outcome, if what blocks it waits, directly or through others, for work that it belongs to.
//!
//! The wire does not say which of a plugin's calls another call belongs to. What a plugin asks for while it runs
//! several calls, or a hook, is taken to belong to all of those that still run: too many are let through rather than one
//! be stuck.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::call::{Call, Moments};
use super::entry::Entry;
use super::request_queue::Queueable;
use crate::sync::lock;

/// Work that a plugin does and others may wait for.
enum Work {
    Call(Arc<Call>),
    /// The transition under way in a plugin's lifecycle, with the hook that runs for it.
    Transition(Arc<Entry>),
}

impl Work {
    fn is(&self, other: &Work) -> bool {
        match (self, other) {
            (Work::Call(one), Work::Call(other)) => one.is(other),
            (Work::Transition(one), Work::Transition(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// The plugin that does it, and since when.
    fn worker(&self) -> (&Arc<Entry>, u64) {
        match self {
            Work::Call(call) => (&call.target, call.started()),
            Work::Transition(entry) => (entry, entry.transition_since.load(Ordering::Acquire)),
        }
    }
}

/// A plugin's wish that another's state change, for as long as somebody waits for it. It is found under the plugin
/// that asks.
pub(super) struct Wish {
    target: Arc<Entry>,
    asker: Option<Arc<Entry>>,
    made: u64,
}

impl Wish {
    /// `asker` is the plugin in whose hook or method the request is made, if it is made in one.
    pub(super) fn new(moments: &Moments, asker: Option<Arc<Entry>>, target: &Arc<Entry>) -> Arc<Wish> {
        let wish = Arc::new(Wish { target: Arc::clone(target), made: moments.next(), asker });
        if let Some(asker) = &wish.asker {
            lock(&asker.wishes).push(Arc::clone(&wish));
        }
        wish
    }

    /// Whether the plugin asks that its own state change.
    pub(super) fn is_for_itself(&self) -> bool {
        self.asker.as_ref().is_some_and(|asker| Arc::ptr_eq(asker, &self.target))
    }

    /// Nobody waits for it any more.
    pub(super) fn forget(self: &Arc<Wish>) {
        if let Some(asker) = &self.asker {
            lock(&asker.wishes).retain(|wish| !Arc::ptr_eq(wish, self));
        }
    }

    /// Whether the transition that this waits for waits for work that this belongs to.
    pub(super) fn closes_a_circle(&self) -> bool {
        self.asker.as_ref().is_some_and(|asker| closes_a_circle(asker, self.made, transition(&self.target).collect()))
    }
}

/// Whether a call that blocks `call` waits for work that `call` belongs to.
pub(super) fn call_closes_a_circle(call: &Call) -> bool {
    let blocks = lock(&call.target.queue).running_beside(&call.method).into_iter().map(Work::Call);
    closes_a_circle(call.asker(), call.made, blocks.collect())
}

fn closes_a_circle(asker: &Arc<Entry>, made: u64, mut look_at: Vec<Work>) -> bool {
    let causes = causes_of(asker, made);
    let mut seen: Vec<Work> = Vec::new();
    while let Some(blocks) = look_at.pop() {
        if seen.iter().any(|seen| seen.is(&blocks)) {
            continue;
        }
        if causes.iter().any(|cause| cause.is(&blocks)) {
            return true;
        }
        look_at.extend(waits_for(&blocks));
        seen.push(blocks);
    }
    false
}

fn transition(entry: &Arc<Entry>) -> impl Iterator<Item = Work> {
    let under_way = entry.transition_since.load(Ordering::Acquire) > 0;
    under_way.then(|| Work::Transition(Arc::clone(entry))).into_iter()
}

/// The work that something may have been asked for on behalf of: what the asker did at that moment, and still does.
fn causes_of(asker: &Arc<Entry>, made: u64) -> Vec<Work> {
    let calls = lock(&asker.queue).running().into_iter().map(Work::Call);
    calls.chain(transition(asker)).filter(|work| work.worker().1 < made).collect()
}

/// What work may wait for: what its plugin has asked for since it started, or what keeps that from running.
fn waits_for(work: &Work) -> Vec<Work> {
    let (worker, started) = work.worker();
    let calls: Vec<_> = lock(&worker.made).iter().filter(|call| call.made > started).cloned().collect();
    let wishes: Vec<_> = lock(&worker.wishes).iter().filter(|wish| wish.made > started).cloned().collect();
    let blocking_call = |call: Arc<Call>| match call.started() {
        0 => lock(&call.target.queue).running_beside(&call.method),
        _ => vec![call],
    };
    let calls = calls.into_iter().flat_map(blocking_call).map(Work::Call);
    calls.chain(wishes.iter().flat_map(|wish| transition(&wish.target))).collect()
}
