//! Permission for a state change: access rules, the policy, and a plugin's own `canDeactivate`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::access::Operation;
use super::super::entry::{Entry, Status};
use super::super::policy::decision;
use super::super::{EngineState, MANAGER};
use crate::error::{ActivateError, CallError, Refusal};
use crate::excerpt::Excerpt;
use crate::plugin::CAN_DEACTIVATE;
use crate::profile::Profile;
use crate::runtime;
use crate::wire::Payload;

/// A state change that waits for permission.
pub(in crate::engine) struct Permission {
    entry: Arc<Entry>,
    deactivations: u64,
}

impl Permission {
    pub(in crate::engine) fn new(entry: &Arc<Entry>) -> Permission {
        entry.permissions.fetch_add(1, Ordering::AcqRel);
        Permission { deactivations: entry.deactivations.load(Ordering::Acquire), entry: Arc::clone(entry) }
    }

    /// # Errors
    /// The plugin's deactivation was requested meanwhile.
    pub(in crate::engine) fn still_wanted(&self) -> Result<(), ActivateError> {
        match self.entry.deactivations.load(Ordering::Acquire) == self.deactivations {
            true => Ok(()),
            false => Err(ActivateError::Interrupted(self.entry.name.to_string())),
        }
    }
}

impl Drop for Permission {
    fn drop(&mut self) {
        self.entry.permissions.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Time limit for `canDeactivate` of a plugin that does not list it.
const CAN_DEACTIVATE_LIMIT: Duration = Duration::from_secs(1);

impl EngineState {
    /// Checks the access rules and the policy.
    pub(super) async fn may_activate(
        &self,
        requester: u64,
        caller: &Profile,
        entry: &Entry,
    ) -> Result<(), ActivateError> {
        self.check_access(&entry.traces, &caller.name, &entry.name, Operation::Activate).map_err(denied)?;
        let profile = entry.profile();
        let allowed = async { self.policy.can_activate(caller, &profile, None).await };
        match decision(requester, entry, "the policy's can_activate", allowed).await {
            Some(true) => Ok(()),
            _ => Err(no_right(caller, "activate", &entry.name)),
        }
    }

    /// Checks the access rules, the policy, and for another plugin's request the plugin itself.
    pub(super) async fn may_deactivate(
        self: &Arc<Self>,
        requester: u64,
        caller: &Profile,
        entry: &Entry,
    ) -> Result<(), ActivateError> {
        self.check_access(&entry.traces, &caller.name, &entry.name, Operation::Deactivate).map_err(denied)?;
        if caller.name == MANAGER {
            return Ok(());
        }
        let profile = entry.profile();
        let allowed = async { self.policy.can_deactivate(caller, &profile).await };
        let allowed = decision(requester, entry, "the policy's can_deactivate", allowed).await == Some(true)
            && (caller.name == *entry.name || self.plugin_agrees(caller, entry).await);
        if allowed { Ok(()) } else { Err(no_right(caller, "deactivate", &entry.name)) }
    }

    /// Asks a plugin's `canDeactivate`. A plugin without one agrees; a plugin that does not list it may still have one.
    async fn plugin_agrees(self: &Arc<Self>, caller: &Profile, entry: &Entry) -> bool {
        let Some(manager) = self.find(MANAGER) else { return false };
        // The link is closing or not up yet: the question would activate the plugin or wait for its activation.
        let unreachable = match entry.instance() {
            None => !entry.is_active(),
            Some(_) => entry.status() == Status::Inactive,
        };
        if unreachable {
            return true;
        }
        let (plugin, listed) = (&*entry.name, entry.interface().lists(CAN_DEACTIVATE));
        if !listed && entry.instance().is_some() {
            return true;
        }
        let call = Box::pin(self.call(
            &manager,
            plugin,
            CAN_DEACTIVATE,
            Payload::new((caller.clone().without_secrets(),)),
            None,
        ));
        let answer = match listed {
            true => call.await,
            false => match runtime::timeout(CAN_DEACTIVATE_LIMIT, call).await {
                Some(answer) => answer,
                None => return true,
            },
        };
        match answer.map(Payload::read::<bool>) {
            Ok(Ok(agrees)) => agrees,
            Ok(Err(error)) => {
                entry.warn(|plugin, left_out| {
                    let error = Excerpt::new(error);
                    tracing::warn!(plugin, left_out, %error, "the response to canDeactivate is neither true nor false");
                });
                false
            }
            Err(CallError::Plugin(fault)) if !listed && says_unknown_method(&fault.to_string()) => true,
            // It can no longer object.
            Err(CallError::LinkLost(_)) => true,
            Err(CallError::Refused(refusal)) if matches!(*refusal, Refusal::Stopping { .. }) => true,
            Err(CallError::Plugin(error)) => {
                entry.warn(|plugin, left_out| {
                    let error = Excerpt::new(error);
                    tracing::warn!(plugin, left_out, %error, "canDeactivate failed, which counts as no");
                });
                false
            }
            Err(error) => {
                entry.warn(|plugin, left_out| {
                    tracing::warn!(plugin, left_out, error = %Excerpt::new(error), "canDeactivate was not answered");
                });
                !listed
            }
        }
    }
}

fn denied(refusal: Refusal) -> ActivateError {
    ActivateError::Denied(Box::new(refusal))
}

fn no_right(caller: &Profile, what: &'static str, name: &str) -> ActivateError {
    ActivateError::NoRight { caller: caller.name.clone(), what, name: name.to_owned() }
}

/// How plugins of this crate, of the published packages and in other languages report a missing `canDeactivate`.
fn says_unknown_method(error: &str) -> bool {
    // Python's `KeyError` contains only the name.
    error.trim_matches(['\'', '"', '`']) == CAN_DEACTIVATE
        || error.contains(CAN_DEACTIVATE)
            && ["doesn't exist", "does not exist", "not implemented", "not found", "unknown", "not a function"]
                .iter()
                .any(|words| error.contains(words))
}
