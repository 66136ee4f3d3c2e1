//! Who may reach whom: the host's own rules, which the router enforces.

use super::{Inner, MANAGER};
use crate::error::Refusal;
use crate::guard;
use crate::plugin::CAN_DEACTIVATE;

/// What one plugin asks of another, as an access rule sees it: see
/// [`EngineBuilder::access_rule`](super::EngineBuilder::access_rule).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access<'a> {
    /// The plugin that asks. What the host asks of [`Engine::manager`](super::Engine::manager), it asks as `manager`.
    pub from: &'a str,
    /// The plugin that it asks something of. It need not be registered.
    pub to: &'a str,
    /// What it asks for.
    pub operation: Operation<'a>,
}

/// What is asked for: see [`Access`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation<'a> {
    /// A call of one of its methods. If the call would activate the plugin, the rules are asked about that as an
    /// [`Activate`](Operation::Activate), too.
    Call {
        /// The method.
        method: &'a str,
        /// The path called: the plugin's name, then the services', for example `remixd.cmd.git`.
        path: &'a str,
    },
    /// A subscription to one of its events.
    Listen {
        /// The event.
        event: &'a str,
    },
    /// Its activation.
    Activate,
    /// Its deactivation.
    Deactivate,
}

pub(super) struct Rule {
    pub(super) name: String,
    pub(super) allows: Box<dyn Fn(&Access<'_>) -> bool + Send + Sync>,
}

impl Inner {
    /// Asks every access rule.
    ///
    /// # Errors
    /// Names the first rule that does not allow it.
    pub(super) fn check_access(&self, from: &str, to: &str, operation: Operation<'_>) -> Result<(), Refusal> {
        if self.access_rules.is_empty() {
            return Ok(());
        }
        self.ask_rules(&Access { from, to, operation })
    }

    #[cold]
    fn ask_rules(&self, access: &Access<'_>) -> Result<(), Refusal> {
        if let (MANAGER, Operation::Call { method: CAN_DEACTIVATE, .. }) = (access.from, access.operation) {
            return Ok(());
        }
        let denies = |rule: &&Rule| guard::call(access.from, "an access rule", || (rule.allows)(access)) != Some(true);
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
