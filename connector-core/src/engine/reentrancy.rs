//! Detects work that would wait for itself.
//!
//! A plugin runs one call at a time by default, so a call that returns to a plugin busy on its behalf (X calls A, A
//! calls B, B calls A) would deadlock. So would an activation hook that activates its own plugin. Therefore a queued
//! call bypasses the queue, and a request to change a plugin's state does not wait for its outcome, if it would close a
//! cycle: if what blocks it is itself waiting, directly or through others, for the work that made it.
//!
//! The wire does not say which of a plugin's calls another call belongs to. Whatever a plugin requests while it runs
//! several calls, or a hook, is attributed to all of those that still run: this admits too many calls rather than
//! letting one deadlock.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::call::{Call, LogicalClock};
use super::entry::Entry;
use super::request_queue::Queueable;
use crate::sync::lock;

/// Work that a plugin performs and others may wait for.
#[derive(Clone)]
enum Work {
    Call(Arc<Call>),
    /// The current transition of a plugin's lifecycle, including its hook.
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

    /// The plugin that performs the work, and when it started.
    fn worker(&self) -> (&Arc<Entry>, u64) {
        match self {
            Work::Call(call) => (&call.target, call.started()),
            Work::Transition(entry) => (entry, entry.transition_since.load(Ordering::Acquire)),
        }
    }
}

/// A plugin's request that another change its state, while the outcome is awaited. Stored with the requesting plugin.
pub(super) struct PendingChange {
    target: Arc<Entry>,
    requester: Option<Arc<Entry>>,
    created: u64,
}

impl PendingChange {
    /// `requester` is the plugin whose hook or method makes the request, if any.
    pub(super) fn new(clock: &LogicalClock, requester: Option<Arc<Entry>>, target: &Arc<Entry>) -> Arc<PendingChange> {
        let pending = Arc::new(PendingChange { target: Arc::clone(target), created: clock.tick(), requester });
        if let Some(requester) = &pending.requester {
            lock(&requester.pending_changes).push(Arc::clone(&pending));
        }
        pending
    }

    /// Whether the plugin requests a change of its own state.
    pub(super) fn is_for_itself(&self) -> bool {
        self.requester.as_ref().is_some_and(|requester| Arc::ptr_eq(&requester.plugin(), &self.target))
    }

    /// Removes the change from its requester, which has stopped waiting for the outcome.
    pub(super) fn forget(self: &Arc<PendingChange>) {
        if let Some(requester) = &self.requester {
            lock(&requester.pending_changes).retain(|pending| !Arc::ptr_eq(pending, self));
        }
    }

    /// Whether the transition that this waits for waits for work that this belongs to.
    pub(super) fn is_circular(&self) -> bool {
        self.requester
            .as_ref()
            .is_some_and(|requester| is_circular(requester, self.created, transition(&self.target).collect()))
    }
}

/// Whether a call that blocks `call` waits for work that `call` belongs to.
pub(super) fn call_is_circular(call: &Call) -> bool {
    let blocking = lock(&call.target.queue).running_beside(&call.method).into_iter().map(Work::Call);
    let (blocking, created) = (blocking.collect::<Vec<_>>(), call.created);
    is_circular(call.requester(), created, blocking.clone())
        || call.makers().iter().any(|maker| is_circular(maker, created, blocking.clone()))
}

/// The calls to lent plugins that a call waits for, directly or through others.
pub(super) fn lent_calls_behind(call: &Arc<Call>) -> Vec<Arc<Call>> {
    let (mut waits, mut seen, mut found): (_, Vec<Work>, _) =
        (vec![Work::Call(Arc::clone(call))], Vec::new(), Vec::new());
    while let Some(work) = waits.pop() {
        if seen.iter().any(|seen| seen.is(&work)) {
            continue;
        }
        match &work {
            Work::Call(call) if !call.has_started() => {
                waits.extend(lock(&call.target.queue).running_beside(&call.method).into_iter().map(Work::Call));
            }
            Work::Call(call) if call.target.is_lent() => found.push(Arc::clone(call)),
            _ => waits.extend(waits_for(&work)),
        }
        seen.push(work);
    }
    found
}

fn is_circular(requester: &Arc<Entry>, created: u64, mut blockers: Vec<Work>) -> bool {
    let causes = causes_of(requester, created);
    let mut seen: Vec<Work> = Vec::new();
    while let Some(work) = blockers.pop() {
        if seen.iter().any(|seen| seen.is(&work)) {
            continue;
        }
        if causes.iter().any(|cause| cause.is(&work)) {
            return true;
        }
        blockers.extend(waits_for(&work));
        seen.push(work);
    }
    false
}

/// The current transition of a plugin, or of the plugin that a replica belongs to.
fn transition(entry: &Arc<Entry>) -> impl Iterator<Item = Work> + use<> {
    let entry = entry.plugin();
    let under_way = entry.transition_since.load(Ordering::Acquire) > 0;
    under_way.then_some(Work::Transition(entry)).into_iter()
}

/// The work on whose behalf a request may have been made: what the requester was doing at that time and still does.
fn causes_of(requester: &Arc<Entry>, created: u64) -> Vec<Work> {
    let calls = lock(&requester.queue).running().into_iter().map(Work::Call);
    calls.chain(transition(requester)).filter(|work| work.worker().1 < created).collect()
}

/// What `work` may wait for: requests of its plugin since it started, or what blocks these.
fn waits_for(work: &Work) -> Vec<Work> {
    let (worker, started) = work.worker();
    let calls: Vec<_> = lock(&worker.outgoing).iter().filter(|call| call.created > started).cloned().collect();
    let pending_changes: Vec<_> =
        lock(&worker.pending_changes).iter().filter(|pending| pending.created > started).cloned().collect();
    let blocking_call = |call: Arc<Call>| match call.started() {
        0 => lock(&call.target.queue).running_beside(&call.method),
        _ => vec![call],
    };
    let calls = calls.into_iter().flat_map(blocking_call).map(Work::Call);
    calls.chain(pending_changes.iter().flat_map(|pending| transition(&pending.target))).collect()
}
