//! Dialling a local socket: from an engine that attaches to a plugin, or from a plugin whose engine serves.

use connector_core::{ConnectError, Link};
#[cfg(feature = "plugin")]
use connector_core::{ExternalProfile, PluginConnector, Profile, Registration, async_trait};

use super::name::LocalName;
use super::os;
use crate::codec::Stray;
use crate::config::IpcConfig;
use crate::link::line_link;

async fn connect(name: &LocalName, config: &IpcConfig) -> Result<Box<dyn Link>, ConnectError> {
    config.check_to_connect()?;
    let limit = config.connect_timeout;
    let stream = tokio::time::timeout(limit, os::connect(name)).await.unwrap_or(Err(ConnectError::TimedOut(limit)))?;
    Ok(Box::new(line_link(stream, config, Stray::Report)))
}

/// Dials an engine that serves `name`: the plugin's end of a link, for [`connector_core::connect`].
///
/// Bounded by [`IpcConfig::connect_timeout`](IpcConfig#structfield.connect_timeout). Cancel safe: dropping the future closes
/// its connection. Must be called within a tokio runtime.
///
/// # Errors
/// [`ConnectError::Refused`] if no server listens there or another user's does, [`ConnectError::TimedOut`] if the server does
/// not accept in time, [`ConnectError::Failed`] if the system fails.
#[cfg(feature = "client")]
pub async fn dial(name: &LocalName, config: IpcConfig) -> Result<Box<dyn Link>, ConnectError> {
    connect(name, &config).await
}

/// The engine's end: attaches to plugins that serve a local socket.
///
/// The profile's `url` is `local:NAME`, a bare name or, on Unix, an absolute path.
/// [`connect`](PluginConnector::connect) is bounded by
/// [`IpcConfig::connect_timeout`](IpcConfig#structfield.connect_timeout) and cancel safe. It returns [`ConnectError::Refused`]
/// when something must be fixed: the name is invalid, or no server or another user's server listens there; and
/// [`ConnectError::TimedOut`] or [`ConnectError::Failed`] when a retry may succeed.
#[cfg(feature = "plugin")]
#[derive(Debug, Clone, Default)]
pub struct LocalConnector {
    config: IpcConfig,
}

#[cfg(feature = "plugin")]
impl LocalConnector {
    /// Dials with `config`.
    pub fn new(config: IpcConfig) -> LocalConnector {
        LocalConnector { config }
    }
}

#[cfg(feature = "plugin")]
#[async_trait]
impl PluginConnector for LocalConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let name = LocalName::parse(url).map_err(|error| ConnectError::Refused(error.to_string()))?;
        connect(&name, &self.config).await
    }
}

/// The plugin `profile` (or just its name) that serves the local socket `name` (see [`LocalName::parse`]), to be
/// registered with an engine, with the default configuration.
#[cfg(feature = "plugin")]
pub fn plugin(profile: impl Into<Profile>, name: &str) -> Registration {
    plugin_with(profile, name, IpcConfig::default())
}

/// As [`plugin`], with a configuration.
#[cfg(feature = "plugin")]
pub fn plugin_with(profile: impl Into<Profile>, name: &str, config: IpcConfig) -> Registration {
    Registration::behind(ExternalProfile::new(profile, name), LocalConnector::new(config))
}
