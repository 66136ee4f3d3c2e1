//! Calls that are observed, belong to a trace, have a deadline or come from another engine: what they need in addition to others.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::EngineState;
use super::call::QueuedCall;
use super::call_chain::MadeFor;
use super::entry::Entry;
use super::observer::OngoingCall;
use crate::error::{CallError, Refusal};
use crate::plugin::Scope;
use crate::runtime;
use crate::wire::Payload;

pub(crate) struct Attended {
    /// Until the call begins. Here, because the call's future would keep a second copy.
    args: Payload,
    scope: Option<Arc<Scope>>,
    /// The time that the caller has left.
    limit: Option<Duration>,
    observed: Option<OngoingCall>,
    made_for: Option<Box<MadeFor>>,
}

impl Attended {
    fn is_out_of_time(&self) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.is_out_of_time())
    }

    /// The borrowed plugin that makes the call at another engine, if that is known.
    pub(super) fn maker(&self) -> Option<Arc<Entry>> {
        self.made_for.as_ref()?.makers().pop()
    }

    /// What is known of the work of other engines that the call is made for.
    pub(super) fn take_made_for(&mut self) -> Option<Box<MadeFor>> {
        self.made_for.take()
    }

    /// The call does not run at once.
    pub(super) fn waits(&mut self) {
        if let Some(observed) = &mut self.observed {
            observed.waits();
        }
    }

    /// The call runs. Returns what continues with it to its target.
    pub(super) fn start(&mut self, target: &Arc<Entry>, queued: &QueuedCall<'_>) -> Option<Arc<Scope>> {
        let mut scope = self.scope.clone();
        if let Some(observed) = &mut self.observed
            && let Some(trace) = observed.started(target)
        {
            scope = Some(Scope::with_trace(scope.as_ref(), trace));
        }
        if let Some(scope) = &scope {
            queued.set_scope(scope);
        }
        scope
    }

    fn end(&mut self, path: &str, method: &str, outcome: Result<Payload, CallError>) -> Result<Payload, CallError> {
        let outcome = match (self.limit, outcome) {
            // Calls that are made for this one end at the same time, and then their errors may arrive first.
            (Some(limit), Err(_)) if self.is_out_of_time() => Err(CallError::deadline(path, method, limit)),
            (_, outcome) => outcome,
        };
        if let Some(observed) = &mut self.observed {
            observed.ended(&outcome);
        }
        outcome
    }
}

impl EngineState {
    /// Whether a call with this scope is to be attended.
    pub(crate) fn attends(&self, scope: Option<&Arc<Scope>>) -> bool {
        scope.is_some() || self.observers.is_present()
    }

    #[cold]
    pub(crate) fn attend(
        &self,
        caller: &Entry,
        path: &str,
        method: &str,
        scope: Option<Arc<Scope>>,
        args: Payload,
    ) -> Box<Attended> {
        let limit = scope.as_ref().and_then(|scope| scope.time_left());
        let observers = &self.observers;
        let observed = observers.is_present().then(|| observers.call(&caller.name, path, method, scope.clone(), &args));
        let chain = scope.as_ref().and_then(|scope| scope.chain.clone());
        let made_for = chain.map(|chain| MadeFor::new(chain, Vec::new()));
        Box::new(Attended { args, scope, limit, observed, made_for })
    }

    /// Like [`attend`](EngineState::attend), for a call from another engine.
    ///
    /// # Errors
    /// The work has passed from one engine to another too often.
    pub(super) fn attend_guest(
        &self,
        guest: &Entry,
        path: &str,
        method: &str,
        scope: Option<Arc<Scope>>,
        args: Payload,
    ) -> Result<Box<Attended>, Refusal> {
        let chain = scope.as_ref().and_then(|scope| scope.chain.clone());
        if let Some(chain) = &chain {
            self.chains.check(chain, (path, method, &guest.name))?;
        }
        let mut attended = self.attend(guest, path, method, scope, args);
        attended.made_for = chain.map(|chain| {
            let makers = self.makers(chain.runs());
            MadeFor::new(chain, makers)
        });
        Ok(attended)
    }

    /// Like [`call`](EngineState::call), within the caller's time, and tells the observers.
    // PERF: docs/performance.md, "Observers": its callers box it, because inside their futures it would cost all calls.
    pub(crate) async fn call_attended(
        self: &Arc<Self>,
        caller: &Arc<Entry>,
        path: &str,
        method: &str,
        mut attended: Box<Attended>,
    ) -> Result<Payload, CallError> {
        let outcome = {
            let (limit, args) = (attended.limit, std::mem::replace(&mut attended.args, Payload::null()));
            let call = pin!(self.call(caller, path, method, args, Some(&mut attended)));
            match limit {
                None => call.await,
                Some(limit) => Box::pin(runtime::timeout(limit, call))
                    .await
                    .unwrap_or_else(|| Err(CallError::deadline(path, method, limit))),
            }
        };
        attended.end(path, method, outcome)
    }
}
