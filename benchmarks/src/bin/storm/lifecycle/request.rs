//! Requests and their outcomes.

use connector_core::{ActivateError, CallError, Refusal};
use fastrand::Rng;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Activate,
    Deactivate,
    /// By another plugin, through the manager.
    DeactivateRemotely,
    /// Registered again at once, under the same name.
    Remove,
    /// Activates on demand.
    Call,
    /// Of all plugins.
    Shutdown,
}

impl Op {
    pub(crate) const OF_A_PLUGIN: [Op; 5] =
        [Op::Activate, Op::Deactivate, Op::DeactivateRemotely, Op::Remove, Op::Call];

    pub(crate) fn draw(rng: &mut Rng) -> Op {
        match rng.u32(..1000) {
            0..400 => Op::Activate,
            400..600 => Op::Deactivate,
            600..680 => Op::DeactivateRemotely,
            680..750 => Op::Remove,
            750..998 => Op::Call,
            _ => Op::Shutdown,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Op::Activate => "activate",
            Op::Deactivate => "deactivate",
            Op::DeactivateRemotely => "deactivate remotely",
            Op::Remove => "remove",
            Op::Call => "call",
            Op::Shutdown => "shutdown",
        }
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Failed in a way that concurrent requests explain.
    Failed,
    /// Failed in a way that no other request explains.
    Surprise(String),
    /// Its future was dropped.
    Dropped,
    Hangs,
}

/// How an activation ended.
pub(crate) fn activated(outcome: Result<(), ActivateError>) -> Outcome {
    match outcome {
        Ok(()) => Outcome::Done,
        Err(ActivateError::Interrupted(_) | ActivateError::HookPanicked(_) | ActivateError::NotRegistered(_)) => {
            Outcome::Failed
        }
        Err(error) => Outcome::Surprise(error.to_string()),
    }
}

/// The outcome of a call with an expected result.
pub(crate) fn called<T: PartialEq + std::fmt::Debug>(outcome: Result<T, CallError>, expected: T) -> Outcome {
    match outcome {
        Ok(result) if result == expected => Outcome::Done,
        Ok(result) => Outcome::Surprise(format!("{result:?} instead of {expected:?}")),
        Err(CallError::LinkLost(_) | CallError::Cancelled(_)) => Outcome::Failed,
        Err(CallError::Refused(refusal)) => match &*refusal {
            Refusal::Busy { .. } | Refusal::NotExposed { .. } => Outcome::Surprise(refusal.to_string()),
            Refusal::NotActivatable(why) if why.starts_with("cannot connect") || why.contains("did not") => {
                Outcome::Surprise(refusal.to_string())
            }
            _ => Outcome::Failed,
        },
        Err(error) => Outcome::Surprise(error.to_string()),
    }
}
