//! Calls that are observed, belong to a trace or have a deadline: what they need in addition to others.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::EngineState;
use super::call::QueuedCall;
use super::entry::Entry;
use super::observer::OngoingCall;
use crate::error::CallError;
use crate::plugin::Scope;
use crate::runtime;
use crate::wire::Payload;

pub(crate) struct Attended {
    scope: Option<Arc<Scope>>,
    observed: Option<OngoingCall>,
}

impl Attended {
    fn is_out_of_time(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.is_out_of_time())
    }

    /// The call runs. Returns what continues with it to its target.
    pub(super) fn start(&self, target: &Arc<Entry>, queued: &QueuedCall<'_>) -> Option<Arc<Scope>> {
        let mut scope = self.scope.clone();
        if let Some(observed) = &self.observed
            && let Some(trace) = observed.started(target)
        {
            scope = Some(Scope::with_trace(scope.as_ref(), trace));
        }
        // The target's own limit may be shorter.
        if scope.as_ref().is_some_and(|scope| scope.deadline.is_some()) {
            scope = Some(Scope::within(scope.as_ref(), target.options.queue_timeout));
        }
        if let Some(scope) = &scope {
            queued.set_scope(scope);
        }
        scope
    }
}

impl EngineState {
    pub(crate) fn is_observed(&self) -> bool {
        self.observers.is_present()
    }

    /// Like [`call`](EngineState::call), within the caller's time, and tells the observers. Boxed, so that it enlarges no
    /// other call's future.
    pub(crate) fn call_attended<'a>(
        self: &'a Arc<Self>,
        caller: &'a Arc<Entry>,
        path: &'a str,
        method: &'a str,
        args: Payload,
        scope: Option<Arc<Scope>>,
    ) -> BoxFuture<'a, Result<Payload, CallError>> {
        Box::pin(async move {
            let limit = scope.as_ref().and_then(|scope| scope.time_left());
            let observed =
                self.is_observed().then(|| self.observers.call(&caller.name, path, method, scope.clone(), &args));
            let attended = Attended { scope, observed };
            let mut call = pin!(self.call(caller, path, method, args, Some(&attended)));
            let outcome = match limit {
                None => call.await,
                Some(limit) => match runtime::timeout(limit, call.as_mut()).await {
                    Some(outcome) if outcome.is_ok() || !attended.is_out_of_time() => outcome,
                    // Calls that are made for this one end at the same time, and then their errors may arrive first.
                    _ => Err(CallError::deadline(path, method, limit)),
                },
            };
            if let Some(observed) = &attended.observed {
                observed.ended(&outcome);
            }
            outcome
        })
    }
}
