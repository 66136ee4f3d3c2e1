//! Registration of a plugin in this process or behind a connector.

use std::fmt;

use super::options::PluginOptions;
use super::replicas::Replicas;
use crate::connector::PluginConnector;
use crate::plugin::Plugin;
use crate::profile::{ExternalProfile, Profile};

/// A plugin to register: a [`Plugin`] value for one in this process, [`Registration::behind`] for one that runs
/// elsewhere (each transport has a function `plugin` that returns it), [`Replicas`] for one that runs at several places.
///
/// ```
/// use std::time::Duration;
///
/// use connector_core::{Engine, Plugin, PluginOptions, RegisterError};
///
/// # fn main() -> Result<(), RegisterError> {
/// let options = PluginOptions::default().queue_timeout(Duration::from_secs(60));
/// Engine::new().register(Plugin::new("slow").options(options))?;
/// # Ok(()) }
/// ```
#[must_use = "pass it to `Engine::register`"]
pub struct Registration {
    pub(super) profile: Profile,
    pub(super) source: Source,
    pub(super) options: Option<PluginOptions>,
}

pub(super) enum Source {
    Local(Box<Plugin>),
    Remote { connector: Box<dyn PluginConnector>, url: String },
    Replicas(Box<Replicas>),
}

impl Registration {
    /// A plugin that `connector` reaches at the profile's URL.
    pub fn behind(profile: ExternalProfile, connector: impl PluginConnector) -> Registration {
        let url = profile.url.clone();
        let mut profile = Profile::from(profile);
        // As in the published engine: no method can be called before the handshake lists the methods.
        profile.methods.get_or_insert_default();
        Registration { profile, source: Source::Remote { connector: Box::new(connector), url }, options: None }
    }

    /// The connector, and the URL to pass to it, of a program that makes links without an engine: a replay, a probe. `None`
    /// for a plugin in this process, and for one with replicas.
    pub fn into_connector(self) -> Option<(Box<dyn PluginConnector>, String)> {
        match self.source {
            Source::Local(_) | Source::Replicas(_) => None,
            Source::Remote { mut connector, url } => {
                connector.registered(&self.profile.name);
                Some((connector, url))
            }
        }
    }

    /// Uses these options instead of the engine's defaults.
    pub fn options(mut self, options: PluginOptions) -> Registration {
        self.options = Some(options);
        self
    }
}

impl From<Plugin> for Registration {
    fn from(plugin: Plugin) -> Registration {
        Registration { profile: plugin.profile(), source: Source::Local(Box::new(plugin)), options: None }
    }
}

impl Plugin {
    /// Registers with these options instead of the engine's defaults.
    pub fn options(self, options: PluginOptions) -> Registration {
        Registration::from(self).options(options)
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration").field("profile", &self.profile).finish_non_exhaustive()
    }
}
