//! Access rules, which the host sets and the router enforces.

use super::{EngineState, MANAGER};
use crate::error::Refusal;
use crate::guard;
use crate::plugin::CAN_DEACTIVATE;
use crate::trace_limit::TraceLimit;

/// An operation that one plugin requests of another, as seen by an access rule: see
/// [`EngineBuilder::access_rule`](super::EngineBuilder::access_rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access<'a> {
    /// The requesting plugin. For requests of the host through [`Engine::manager`](super::Engine::manager) this is
    /// `manager`.
    pub from: &'a str,
    /// The plugin that the request is for. It need not be registered.
    pub to: &'a str,
    /// The requested operation.
    pub operation: Operation<'a>,
}

/// A requested operation: see [`Access`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// A method call. If the call would activate the plugin, the rules are also evaluated for
    /// [`Activate`](Operation::Activate).
    Call {
        /// The method.
        method: &'a str,
        /// The path called: the plugin's name followed by the services' names, for example `remixd.cmd.git`.
        path: &'a str,
    },
    /// A subscription to an event.
    Listen {
        /// The event.
        event: &'a str,
    },
    /// Activation.
    Activate,
    /// Deactivation.
    Deactivate,
}

pub(super) struct Rule {
    pub(super) name: String,
    pub(super) allows: Box<dyn Fn(&Access<'_>) -> bool + Send + Sync>,
}

impl EngineState {
    /// Evaluates all access rules. Their panics are traced within the limit of `traces`.
    ///
    /// # Errors
    /// Names the first rule that denies the access.
    pub(super) fn check_access(
        &self,
        traces: &TraceLimit,
        from: &str,
        to: &str,
        operation: Operation<'_>,
    ) -> Result<(), Refusal> {
        if self.access_rules.is_empty() {
            return Ok(());
        }
        self.ask_rules(traces, &Access { from, to, operation })
    }

    #[cold]
    fn ask_rules(&self, traces: &TraceLimit, access: &Access<'_>) -> Result<(), Refusal> {
        if let (MANAGER, Operation::Call { method: CAN_DEACTIVATE, .. }) = (access.from, access.operation) {
            return Ok(());
        }
        let denies =
            |rule: &&Rule| guard::call(traces, access.from, "an access rule", || (rule.allows)(access)) != Some(true);
        let Some(rule) = self.access_rules.iter().find(denies) else { return Ok(()) };
        let Access { from, to, operation } = *access;
        let what = match operation {
            Operation::Call { method, path } => format!("call \"{method}\" of \"{path}\""),
            Operation::Listen { event } => format!("listen to \"{event}\" of \"{to}\""),
            Operation::Activate => format!("activate \"{to}\""),
            Operation::Deactivate => format!("deactivate \"{to}\""),
        };
        Err(Refusal::Denied { from: from.to_owned(), what, rule: rule.name.clone() })
    }
}
