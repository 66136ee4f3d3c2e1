use connector_core::QueueLimits;

use crate::client::WsServerConfig;

/// Who may connect to a hub, and how much waits where.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StpHubConfig {
    /// Limits and times of each link, who is let in, TLS. Default: [`WsServerConfig::default`], with 4,096 connections.
    pub server: WsServerConfig,
    /// The queue in front of each service: a service that takes nothing of a full queue for its
    /// `stall_timeout`, or whose queue is past its very most, loses its link. Default: [`QueueLimits::default`].
    pub queue: QueueLimits,
    /// Requests that may wait for one service's answers; the next goes to another service that solves it, or is
    /// refused. Default 16,384.
    pub max_pending: usize,
    /// Whether the hub lists itself to other machines too. Default: no.
    pub list_to_remote: bool,
}

impl Default for StpHubConfig {
    fn default() -> StpHubConfig {
        StpHubConfig {
            server: WsServerConfig::default().max_connections(4096),
            queue: QueueLimits::default(),
            max_pending: 16_384,
            list_to_remote: false,
        }
    }
}

impl StpHubConfig {
    /// Sets [`server`](StpHubConfig#structfield.server).
    #[must_use]
    pub fn server(mut self, config: WsServerConfig) -> StpHubConfig {
        self.server = config;
        self
    }

    /// Sets [`queue`](StpHubConfig#structfield.queue).
    #[must_use]
    pub fn queue(mut self, limits: QueueLimits) -> StpHubConfig {
        self.queue = limits;
        self
    }

    /// Sets [`max_pending`](StpHubConfig#structfield.max_pending).
    #[must_use]
    pub fn max_pending(mut self, requests: usize) -> StpHubConfig {
        self.max_pending = requests;
        self
    }

    /// Sets [`list_to_remote`](StpHubConfig#structfield.list_to_remote).
    #[must_use]
    pub fn list_to_remote(mut self, list: bool) -> StpHubConfig {
        self.list_to_remote = list;
        self
    }
}
