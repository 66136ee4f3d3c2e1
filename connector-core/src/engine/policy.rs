//! Permissions: the replaceable part of the published `PluginManager`.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Map, Value};

use super::current;
use super::entry::Entry;
use crate::error::UpdateError;
use crate::guard;
use crate::profile::Profile;
use crate::runtime;

/// Limit for a decision: long enough to ask the user, but finite.
const DECISION_LIMIT: Duration = Duration::from_secs(3600);

/// Runs a decision of the policy, or of a plugin's rule, about `plugin`. `None` if it panics or times out. Calls that it
/// makes are attributed to `requester`, the plugin waiting for it (0: the host).
pub(super) async fn decision<T>(
    requester: u64,
    plugin: &Entry,
    what: &str,
    decision: impl Future<Output = T>,
) -> Option<T> {
    let mut decision = pin!(guard::run(&plugin.traces, &plugin.name, what, decision));
    let on_behalf = poll_fn(|cx| current::within(requester, 0, || decision.as_mut().poll(cx)));
    let decided = runtime::timeout(DECISION_LIMIT, on_behalf).await;
    if decided.is_none() {
        plugin.warn(|plugin, left_out| {
            tracing::warn!(plugin, left_out, limit = ?DECISION_LIMIT, "{what} did not complete, which counts as no");
        });
    }
    decided.flatten()
}

/// The manager's decisions. Each defaults to the published behaviour and can be replaced individually.
///
/// A policy decides on activations, deactivations and profile updates, and may take its time, for example to ask the
/// user. It does not see calls and subscriptions: [`EngineBuilder::access_rule`](crate::EngineBuilder::access_rule)
/// restricts those. A decision that panics or takes longer than an hour counts as no; a caller that cannot wait so long
/// uses [`call_within`](crate::PluginClient::call_within).
///
/// A decision may call plugins, including plugins that call the requesting plugin: such a call does not deadlock
/// ([`PluginClient::call`](crate::PluginClient::call)). A task that a decision spawns and waits for must not do so: the
/// engine does not see that the decision waits for it.
/// ```
/// use connector_core::{Engine, Policy, Profile, async_trait};
///
/// struct OnlyTheEditorActivates;
///
/// #[async_trait]
/// impl Policy for OnlyTheEditorActivates {
///     async fn can_activate(&self, from: &Profile, _: &Profile, _: Option<&str>) -> bool {
///         from.name == "manager" || from.name == "editor"
///     }
/// }
///
/// let engine = Engine::builder().policy(OnlyTheEditorActivates).build();
/// ```
#[async_trait]
pub trait Policy: Send + Sync + 'static {
    /// Whether `from` may activate `to`. `method` is set if a call of that method would activate `to` on demand. The
    /// host is `manager`. Default: yes.
    async fn can_activate(&self, from: &Profile, to: &Profile, method: Option<&str>) -> bool {
        let _ = (from, to, method);
        true
    }

    /// Whether `from` may deactivate `to`. If so, and they differ, `to` is asked as well
    /// ([`Plugin::can_deactivate`](crate::Plugin::can_deactivate)). Not consulted for the host, which always may.
    /// Default: only the plugin itself.
    async fn can_deactivate(&self, from: &Profile, to: &Profile) -> bool {
        from.name == to.name
    }

    /// Whether `from` may merge `update` into the profile `current`. Default: only into its own, and without changing
    /// its `url`.
    ///
    /// # Errors
    /// The reason for a denial.
    async fn can_update_profile(
        &self,
        from: &Profile,
        current: &Profile,
        update: &Map<String, Value>,
    ) -> Result<(), UpdateError> {
        if from.name != current.name {
            return Err(UpdateError::NotItsOwn);
        }
        match update.get("url") {
            Some(url) if url.as_str().is_some_and(|url| !url.is_empty()) && url.as_str() != current.url.as_deref() => {
                Err(UpdateError::Url)
            }
            _ => Ok(()),
        }
    }

    /// Answers the plugin `to`, which asks whether `from` may call its `method`
    /// ([`Context::ask_user_permission`](crate::Context::ask_user_permission)), with a message for the user. Default:
    /// yes.
    ///
    /// This alone restricts nothing, because it is consulted only when the called plugin asks. For "X may call only Y",
    /// add an [`access_rule`](crate::EngineBuilder::access_rule).
    async fn can_call(&self, from: &str, to: &str, method: &str, message: Option<&str>) -> bool {
        let _ = (from, to, method, message);
        true
    }

    /// A plugin was registered.
    fn profile_added(&self, profile: &Profile) {
        let _ = profile;
    }

    /// A plugin was activated.
    fn plugin_activated(&self, profile: &Profile) {
        let _ = profile;
    }

    /// A plugin was deactivated.
    fn plugin_deactivated(&self, profile: &Profile) {
        let _ = profile;
    }
}

/// The published defaults.
#[derive(Debug, Clone, Copy, Default)]
pub struct DefaultPolicy;

impl Policy for DefaultPolicy {}
