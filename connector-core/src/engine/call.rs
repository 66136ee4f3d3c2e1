//! A call's passage through the queue of its target. A call that would wait for itself bypasses the queue: see
//! [`reentrancy`](super::reentrancy).

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;

use super::call_chain::MadeFor;
use super::entry::{Entry, Status};
use super::reentrancy::call_is_circular;
use super::request_queue::{Entered, Queueable};
use crate::error::{CallError, Refusal};
use crate::plugin::Scope;
use crate::sync::lock;
use crate::wire::Name;

/// A call, from entering its target's queue until its end.
pub(crate) struct Call {
    pub(super) caller: Arc<Entry>,
    pub(super) target: Arc<Entry>,
    pub(super) method: Name,
    /// When the call was created (0: irrelevant for reentrancy) and when it started to run (0: not yet), on the
    /// engine's logical clock.
    pub(super) created: u64,
    started: AtomicU64,
    state: AtomicU8,
    waiter: AtomicWaker,
    /// What it passes on to the calls that its target makes for it, once it runs.
    pub(super) scope: OnceLock<Arc<Scope>>,
    origin: Option<Box<Origin>>,
}

// PERF: what few calls have is boxed together, so that a call is moved at once.
/// For whom a call is made, if not for its caller alone.
struct Origin {
    /// The plugin whose method makes the call through another plugin's handle.
    on_behalf_of: Option<Arc<Entry>>,
    /// If it is made for work of other engines.
    made_for: Option<Arc<MadeFor>>,
}

const PENDING: u8 = 0;
const CANCELLED: u8 = 1;
const TARGET_GONE: u8 = 2;
const CALLER_GONE: u8 = 3;
const ELSEWHERE: u8 = 4;

/// A logical clock that orders the creation and start of work.
#[derive(Default)]
pub(crate) struct LogicalClock(AtomicU64);

impl LogicalClock {
    pub(super) fn tick(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Queueable for Arc<Call> {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(self, other)
    }

    fn caller(&self) -> u64 {
        self.caller.turn
    }

    fn matches(&self, caller: &str, method: Option<&str>) -> bool {
        self.caller.name == caller && method.is_none_or(|method| self.method == method)
    }
}

impl Call {
    /// Ends the call as cancelled.
    pub(super) fn cancel(&self) {
        self.end_as(CANCELLED);
    }

    /// Ends the call because its target was deactivated.
    pub(super) fn end_target_gone(&self) {
        self.end_as(TARGET_GONE);
    }

    /// Ends the call, unless it runs, because its caller was deactivated.
    pub(super) fn end_caller_gone(&self) {
        if !self.has_started() {
            self.end_as(CALLER_GONE);
        }
    }

    /// Ends the call, unless it runs or has ended, because another replica is to run it.
    pub(super) fn end_elsewhere(&self) {
        let moved = self.state.compare_exchange(PENDING, ELSEWHERE, Ordering::AcqRel, Ordering::Acquire);
        if moved.is_ok() {
            self.waiter.wake();
        }
    }

    /// The plugin on whose behalf the call is made.
    pub(super) fn requester(&self) -> &Arc<Entry> {
        self.origin.as_ref().and_then(|origin| origin.on_behalf_of.as_ref()).unwrap_or(&self.caller)
    }

    /// The borrowed plugins whose work at their own engines makes it, or waits for it.
    pub(super) fn makers(&self) -> Vec<Arc<Entry>> {
        self.made_for().map_or_else(Vec::new, |made_for| made_for.makers())
    }

    /// What is known of the work of other engines that it is made for.
    pub(super) fn made_for(&self) -> Option<&MadeFor> {
        self.origin.as_ref()?.made_for.as_deref()
    }

    /// Lets the call run beyond the limit of its target, if it waits.
    pub(super) fn let_through(self: &Arc<Self>, clock: &LogicalClock) {
        if lock(&self.target.queue).start_waiting(&self.method, self) {
            self.start(clock);
            self.waiter.wake();
        }
    }

    fn end_as(&self, state: u8) {
        self.state.store(state, Ordering::Release);
        self.waiter.wake();
    }

    fn start(&self, clock: &LogicalClock) {
        self.started.store(clock.tick(), Ordering::Release);
    }

    /// The error with which the call was ended externally, if any.
    fn ended(&self) -> Option<CallError> {
        match self.state.load(Ordering::Acquire) {
            CANCELLED => Some(CallError::cancelled(&self.method, &self.caller.name)),
            TARGET_GONE => Some(
                Refusal::NotActivated {
                    target: self.target.name.to_string(),
                    caller: self.caller.name.to_string(),
                    method: self.method.to_string(),
                }
                .into(),
            ),
            // Once it runs, it may have been sent.
            ELSEWHERE if !self.has_started() => Some(Refusal::Stopping { target: self.target.name.to_string() }.into()),
            CALLER_GONE => Some(caller_deactivated(&self.caller, &self.method, &self.target.name).into()),
            _ => None,
        }
    }

    pub(super) fn has_started(&self) -> bool {
        self.started() > 0
    }

    pub(super) fn started(&self) -> u64 {
        self.started.load(Ordering::Acquire)
    }
}

/// A place in the target's queue, released on drop.
pub(super) struct QueuedCall<'a> {
    call: Arc<Call>,
    clock: &'a LogicalClock,
    recorded: bool,
}

/// The refusal of a call whose caller is not active.
pub(super) fn caller_deactivated(caller: &Entry, method: &str, path: &str) -> Refusal {
    Refusal::Deactivated { name: caller.name.to_string(), what: cannot_call(method, path) }
}

pub(super) fn cannot_call(method: &str, path: &str) -> String {
    format!("It cannot call method {method} of plugin {path}.")
}

impl<'a> QueuedCall<'a> {
    /// Enters the target's queue. `on_behalf_of` is the plugin whose method makes the call through another plugin's handle.
    ///
    /// # Errors
    /// The queue is full.
    pub(super) fn enter(
        clock: &'a LogicalClock,
        caller: &Arc<Entry>,
        on_behalf_of: Option<Arc<Entry>>,
        target: Arc<Entry>,
        method: Name,
        made_for: Option<Arc<MadeFor>>,
    ) -> Result<QueuedCall<'a>, Refusal> {
        let requester = on_behalf_of.as_ref().unwrap_or(caller);
        // A caller that runs nothing cannot be part of a cycle.
        let recorded = requester.status() != Status::Active || made_for.is_some() || !lock(&requester.queue).is_idle();
        let origin = match (on_behalf_of, made_for) {
            (None, None) => None,
            (on_behalf_of, made_for) => Some(Box::new(Origin { on_behalf_of, made_for })),
        };
        let call = Arc::new(Call {
            caller: Arc::clone(caller),
            target,
            method,
            created: if recorded { clock.tick() } else { 0 },
            started: AtomicU64::new(0),
            state: AtomicU8::new(PENDING),
            waiter: AtomicWaker::new(),
            scope: OnceLock::new(),
            origin,
        });
        if recorded {
            lock(&call.requester().outgoing).push(Arc::clone(&call));
            call.makers().iter().for_each(|maker| lock(&maker.outgoing).push(Arc::clone(&call)));
        }
        // From here on the guard leaves the queue on drop.
        let queued = QueuedCall { call, clock, recorded };
        let Call { target, .. } = &*queued.call;
        let call = &queued.call;
        let entered = lock(&target.queue).enter(&call.method, Arc::clone(call));
        match entered {
            Entered::Runs => call.start(clock),
            // Checked after entering the queue: of two calls that block each other, the later sees the earlier.
            Entered::Waits if recorded && call_is_circular(call) => {
                call.let_through(clock);
            }
            Entered::Waits => {}
            Entered::Busy(_) if recorded && call_is_circular(call) => {
                lock(&target.queue).start_new(&call.method, Arc::clone(call));
                call.start(clock);
            }
            Entered::Busy(waiting) => {
                return Err(Refusal::Busy {
                    target: target.name.to_string(),
                    caller: caller.name.to_string(),
                    method: call.method.to_string(),
                    waiting,
                });
            }
        }
        Ok(queued)
    }

    /// Whether the call has started to run.
    pub(super) fn has_started(&self) -> bool {
        self.call.has_started()
    }

    /// Sets what the call passes on. It has started to run.
    pub(super) fn set_scope(&self, scope: &Arc<Scope>) {
        // It runs once.
        let _ = self.call.scope.set(Arc::clone(scope));
    }

    pub(super) fn call(&self) -> &Arc<Call> {
        &self.call
    }

    pub(super) fn method(&self) -> &Name {
        &self.call.method
    }

    pub(super) fn caller(&self) -> &Arc<Entry> {
        &self.call.caller
    }

    pub(super) fn target(&self) -> &Arc<Entry> {
        &self.call.target
    }

    /// Ready when the call may run.
    ///
    /// # Errors
    /// The call was ended externally.
    pub(super) fn poll_started(&self, cx: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        let started = || match self.call.ended() {
            Some(error) => Poll::Ready(Err(error)),
            None if self.call.has_started() => Poll::Ready(Ok(())),
            None => Poll::Pending,
        };
        if started().is_pending() {
            self.call.waiter.register(cx.waker());
        }
        started()
    }

    /// Ready when the call was ended externally.
    pub(super) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<CallError> {
        if self.call.ended().is_none() {
            self.call.waiter.register(cx.waker());
        }
        self.call.ended().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for QueuedCall<'_> {
    fn drop(&mut self) {
        let call = &self.call;
        let started = lock(&call.target.queue).leave(&call.method, call);
        for next in started {
            next.start(self.clock);
            next.waiter.wake();
        }
        if self.recorded {
            let forget = |plugin: &Arc<Entry>| lock(&plugin.outgoing).retain(|other| !other.is(call));
            forget(call.requester());
            call.makers().iter().for_each(forget);
        }
    }
}
