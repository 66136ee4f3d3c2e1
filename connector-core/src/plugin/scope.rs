//! What a call passes on to the calls that are made for it.

use std::sync::Arc;
use std::time::Duration;

use crate::runtime::{self, Instant};
use crate::wire::{CallChain, Inherited, TraceContext};

/// What a call passes on to the calls that are made for it. Most calls have none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) trace: Option<TraceContext>,
    /// When the caller's time ends.
    pub(crate) deadline: Option<Instant>,
    /// The work of other engines that it is made for.
    pub(crate) chain: Option<Arc<CallChain>>,
}

impl Scope {
    pub(crate) fn of_trace(trace: TraceContext) -> Arc<Scope> {
        Arc::new(Scope { trace: Some(trace), ..Scope::default() })
    }

    /// The scope of a request that has just arrived.
    #[cold]
    pub(crate) fn received(inherited: Inherited) -> Arc<Scope> {
        let Inherited { trace, time_left, chain } = inherited;
        let deadline = time_left.and_then(|left| runtime::now().checked_add(left));
        Arc::new(Scope { trace, deadline, chain: chain.map(Arc::new) })
    }

    /// What a request that is about to be sent says of it.
    #[cold]
    pub(crate) fn to_wire(&self) -> Box<Inherited> {
        let chain = self.chain.as_deref().cloned();
        Box::new(Inherited { trace: self.trace.clone(), time_left: self.time_left(), chain })
    }

    pub(crate) fn time_left(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(runtime::now()))
    }

    pub(crate) fn is_out_of_time(&self) -> bool {
        self.time_left().is_some_and(|left| left.is_zero())
    }

    /// The same with another trace.
    pub(crate) fn with_trace(scope: Option<&Arc<Scope>>, trace: TraceContext) -> Arc<Scope> {
        Arc::new(Scope { trace: Some(trace), ..Scope::of(scope) })
    }

    /// The same with another chain.
    pub(crate) fn with_chain(scope: Option<&Arc<Scope>>, chain: CallChain) -> Arc<Scope> {
        Arc::new(Scope { chain: Some(Arc::new(chain)), ..Scope::of(scope) })
    }

    /// The same for a target that may run for this long: its caller's time, if it is limited, is shorter for it.
    pub(crate) fn limited_to(self: Arc<Scope>, limit: Duration) -> Arc<Scope> {
        match self.deadline {
            Some(_) => Scope::within(Some(&self), limit),
            None => self,
        }
    }

    /// The same with at most this much time left.
    pub(crate) fn within(scope: Option<&Arc<Scope>>, limit: Duration) -> Arc<Scope> {
        let scope = Scope::of(scope);
        let deadlines = [scope.deadline, runtime::now().checked_add(limit)];
        Arc::new(Scope { deadline: deadlines.into_iter().flatten().min(), ..scope })
    }

    fn of(scope: Option<&Arc<Scope>>) -> Scope {
        scope.map_or_else(Scope::default, |scope| Scope::clone(scope))
    }
}
