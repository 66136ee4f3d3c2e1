//! Who may do what: the part of the published `PluginManager` that hosts replace.

use async_trait::async_trait;
use serde_json::{Map, Value};

use crate::error::UpdateError;
use crate::profile::Profile;

/// The manager's rules; each has the published default and may be replaced on its own.
///
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
    /// Whether `from` may activate `to`, with the method whose call asks for it, if a call does. The host itself is
    /// `manager`. Default: anyone may.
    async fn can_activate(&self, from: &Profile, to: &Profile, method: Option<&str>) -> bool {
        let _ = (from, to, method);
        true
    }

    /// Whether `from` may deactivate `to`; the manager is not asked, or a plugin could never be stopped. Default: only
    /// the plugin itself.
    async fn can_deactivate(&self, from: &Profile, to: &Profile) -> bool {
        from.name == to.name
    }

    /// Whether `from` may lay `update` over the profile `current`. Default: only over its own, and never its `url`.
    ///
    /// # Errors
    /// Why not.
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

    /// Whether `from` may call `method` of `to`: what a plugin asks when it wants the user's permission
    /// ([`Context::ask_user_permission`](crate::Context::ask_user_permission)), with a message for the user. Default: yes.
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
