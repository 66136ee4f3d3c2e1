use crate::config::IpcConfig;

/// Limits and times of a server at a local socket.
///
/// Only the user's own processes are served; there is no setting for that.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LocalConfig {
    /// Limits and times of each link.
    pub ipc: IpcConfig,
    /// Links alive at once; one more is closed as soon as it is accepted. A link counts until it is dropped. Default 64.
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
}
