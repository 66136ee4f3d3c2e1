//! Calls that are observed, belong to a trace, have a deadline or come from another engine: what they need in addition to others.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use super::EngineState;
use super::call::QueuedCall;
use super::call_chain::MadeFor;
use super::entry::Entry;
use super::observer::Interests;
use super::observers::OngoingCall;
use crate::error::{CallError, Refusal};
use crate::plugin::Scope;
use crate::runtime::{self, Instant};
use crate::wire::Payload;

pub(crate) struct Attended<'a> {
    path: &'a str,
    method: &'a str,
    scope: Option<Arc<Scope>>,
    /// The time that the caller had left at first, if it is limited.
    limit: Duration,
    observed: Option<OngoingCall<'a>>,
    made_for: Option<Arc<MadeFor>>,
}

impl Attended<'_> {
    fn late(&self) -> CallError {
        CallError::deadline(self.path, self.method, self.limit)
    }

    /// The borrowed plugin that makes the call at another engine, if that is known.
    pub(super) fn maker(&self) -> Option<Arc<Entry>> {
        self.made_for.as_ref()?.makers().pop()
    }

    /// What is known of the work of other engines that the call is made for.
    pub(super) fn made_for(&self) -> Option<Arc<MadeFor>> {
        self.made_for.clone()
    }

    /// The call does not run at once, but only after this.
    ///
    /// # Errors
    /// Those of `activation_or_turn`, or the caller's time is over.
    pub(super) async fn wait_for(
        &mut self,
        activation_or_turn: impl Future<Output = Result<(), CallError>>,
    ) -> Result<(), CallError> {
        if let Some(observed) = &mut self.observed {
            observed.waits();
        }
        let deadline = self.scope.as_ref().and_then(|scope| scope.deadline);
        runtime::timeout_at(deadline, pin!(activation_or_turn)).await.unwrap_or_else(|| Err(self.late()))
    }

    /// The call runs. Returns what continues with it to its target.
    pub(super) fn start(&mut self, now: Instant, queued: &QueuedCall<'_>) -> Option<Arc<Scope>> {
        if let Some(observed) = &mut self.observed
            && let Some(trace) = observed.starts(now, queued.target())
        {
            self.scope = Some(Scope::with_trace(self.scope.as_ref(), trace));
        }
        if let Some(scope) = &self.scope {
            queued.set_scope(scope);
        }
        self.scope.clone()
    }

    /// The call has ended. Returns what its caller gets.
    pub(crate) fn end(mut self, outcome: Result<Payload, CallError>) -> Result<Payload, CallError> {
        let outcome = match outcome {
            // Calls that are made for this one end at the same time, and then their errors may arrive first.
            Err(_) if self.scope.as_ref().is_some_and(|scope| scope.is_out_of_time()) => Err(self.late()),
            outcome => outcome,
        };
        if let Some(observed) = &mut self.observed {
            observed.ended(&outcome);
        }
        outcome
    }
}

impl EngineState {
    /// What a call with this scope needs in addition to others; `None` for most.
    // PERF: docs/performance.md, "Observers": boxed, because in the future itself it would cost all calls.
    pub(crate) fn attend<'a>(
        &'a self,
        caller: &'a Entry,
        path: &'a str,
        method: &'a str,
        scope: Option<Arc<Scope>>,
        args: &Payload,
    ) -> Option<Box<Attended<'a>>> {
        if scope.is_none() && !self.observers.want(Interests::CALLS) {
            return None;
        }
        let limit = scope.as_ref().and_then(|scope| scope.time_left()).unwrap_or_default();
        let observed = self.observers.call(&caller.name, path, method, scope.as_ref(), args);
        let chain = scope.as_ref().and_then(|scope| scope.chain.clone());
        let made_for = chain.map(|chain| MadeFor::new(chain, Vec::new()));
        Some(Box::new(Attended { path, method, scope, limit, observed, made_for }))
    }

    /// # Errors
    /// The work that a call from another engine is made for has passed from one engine to another too often.
    pub(super) fn admit_guest(
        &self,
        guest: &Entry,
        path: &str,
        method: &str,
        scope: Option<&Scope>,
    ) -> Result<(), Refusal> {
        let chain = scope.and_then(|scope| scope.chain.as_ref());
        chain.map_or(Ok(()), |chain| self.chains.check(chain, (path, method, &guest.name)))
    }

    /// Like [`attend`](EngineState::attend), for a call from another engine.
    pub(super) fn attend_guest<'a>(
        &'a self,
        guest: &'a Entry,
        path: &'a str,
        method: &'a str,
        scope: Option<Arc<Scope>>,
        args: &Payload,
    ) -> Option<Box<Attended<'a>>> {
        let chain = scope.as_ref().and_then(|scope| scope.chain.clone());
        let mut attended = self.attend(guest, path, method, scope, args)?;
        if let Some(chain) = chain {
            let makers = self.makers(chain.runs());
            attended.made_for = Some(MadeFor::new(chain, makers));
        }
        Some(attended)
    }
}
