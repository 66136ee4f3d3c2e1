use connector_core::BadSetting;

use crate::config::IpcConfig;

/// Limits and timeouts of a server at a local socket.
///
/// A value with which nothing can work, such as a limit of 0, is an error of `bind`. Only processes of the same user are served; this is not configurable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalConfig {
    /// Limits and timeouts of each link.
    pub ipc: IpcConfig,
    /// The maximum number of links at once. Further connections are closed as soon as they are accepted, unless the oldest
    /// link whose engine has not performed the plugin handshake within 75 ms can be closed instead. A link counts until it
    /// is dropped. Default 64; at least 1.
    pub max_connections: usize,
}

impl Default for LocalConfig {
    fn default() -> Self {
        LocalConfig { ipc: IpcConfig::default(), max_connections: 64 }
    }
}

impl LocalConfig {
    /// Sets [`ipc`](LocalConfig::ipc).
    #[must_use]
    pub fn ipc(mut self, config: IpcConfig) -> Self {
        self.ipc = config;
        self
    }

    /// Sets [`max_connections`](LocalConfig::max_connections).
    #[must_use]
    pub fn max_connections(mut self, links: usize) -> Self {
        self.max_connections = links;
        self
    }

    /// # Errors
    /// A setting with which no client can connect.
    pub(super) fn check(&self) -> Result<(), BadSetting> {
        self.ipc.check()?;
        BadSetting::not_zero("LocalConfig::max_connections", self.max_connections)
    }
}
