use std::time::Duration;

use connector_core::BadSetting;
use connector_core::QueueLimits;

use crate::client::WsServerConfig;

/// Configures an [`StpHub`](super::StpHub): access, limits and queues.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StpHubConfig {
    /// Configures access, TLS, and the limits and timeouts of each link. Default: [`WsServerConfig::default`] with 4,096
    /// connections, 256 of them of one address on another machine.
    pub server: WsServerConfig,
    /// Limits of the queue in front of each service. `max_bytes` covers the queued frames, with 128 bytes for each, and 384
    /// bytes for each request that awaits the service's answer. A service loses its link if it accepts nothing from a full
    /// queue for `stall_timeout`. A sender may fill at most half of what the other senders leave free of the hard limits;
    /// beyond that its requests are refused, answers for a service are replaced by refusals, and informs are dropped.
    /// Senders take turns. A connection that leaves 64 answers to its own requests unread is not read from until it has
    /// taken some. Default: [`QueueLimits::default`], which is 64 MiB.
    pub queue: QueueLimits,
    /// Maximum number of bytes that the hub holds for one session: queued frames, requests that await answers, and the
    /// registrations of services. A text that goes to several services counts once. A connection may use at most half of
    /// what the others leave free; beyond that its requests and registrations are refused and its informs dropped.
    /// Default: 256 MiB.
    pub session_memory_limit: usize,
    /// Maximum number of sessions. A registration that would begin another one is refused. A session ends with its last
    /// service. Default: 1,024. At least 1.
    pub max_sessions: usize,
    /// Maximum number of requests that await one service's answers. Further requests go to another service that solves
    /// them, or are refused. One connection may occupy at most half of what the others leave free. Default: 16,384. At
    /// least 1.
    pub max_pending: usize,
    /// The time within which a connection must register. Then it is closed. Until then it is pending: see
    /// [`WsServerConfig::max_handshakes`]. Default: 10 s.
    pub register_timeout: Duration,
    /// Whether the hub lists itself to other machines too. A connection to a hub with a token
    /// ([`WsServerConfig::token`]) may list all sessions; any other only the one in which it has registered or that its
    /// URL names. Default: false.
    pub list_to_remote: bool,
}

impl Default for StpHubConfig {
    fn default() -> StpHubConfig {
        StpHubConfig {
            server: WsServerConfig::default().max_connections(4096).max_connections_per_address(Some(256)),
            queue: QueueLimits::default(),
            session_memory_limit: 256 << 20,
            max_sessions: 1024,
            max_pending: 16_384,
            register_timeout: Duration::from_secs(10),
            list_to_remote: false,
        }
    }
}

impl StpHubConfig {
    /// Sets [`server`](StpHubConfig#structfield.server). Default: [`WsServerConfig::default`] with 4,096
    /// connections, 256 of them of one address on another machine.
    #[must_use]
    pub fn server(mut self, config: WsServerConfig) -> StpHubConfig {
        self.server = config;
        self
    }

    /// Sets [`queue`](StpHubConfig#structfield.queue), the limits of each service's queue. Default:
    /// [`QueueLimits::default`].
    #[must_use]
    pub fn queue(mut self, limits: QueueLimits) -> StpHubConfig {
        self.queue = limits;
        self
    }

    /// Sets [`session_memory_limit`](StpHubConfig#structfield.session_memory_limit), in bytes. Default: 256 MiB.
    #[must_use]
    pub fn session_memory_limit(mut self, bytes: usize) -> StpHubConfig {
        self.session_memory_limit = bytes;
        self
    }

    /// Sets [`max_sessions`](StpHubConfig#structfield.max_sessions). Default: 1,024; at least 1.
    #[must_use]
    pub fn max_sessions(mut self, sessions: usize) -> StpHubConfig {
        self.max_sessions = sessions;
        self
    }

    /// Sets [`max_pending`](StpHubConfig#structfield.max_pending), in requests. Default: 16,384; at least 1.
    #[must_use]
    pub fn max_pending(mut self, requests: usize) -> StpHubConfig {
        self.max_pending = requests;
        self
    }

    /// Sets [`register_timeout`](StpHubConfig#structfield.register_timeout). Default: 10 s.
    #[must_use]
    pub fn register_timeout(mut self, limit: Duration) -> StpHubConfig {
        self.register_timeout = limit;
        self
    }

    /// Sets [`list_to_remote`](StpHubConfig#structfield.list_to_remote). Default: false.
    #[must_use]
    pub fn list_to_remote(mut self, list: bool) -> StpHubConfig {
        self.list_to_remote = list;
        self
    }

    /// # Errors
    /// A setting with which no service can exchange messages. Those of `server` are checked when it is bound.
    pub(super) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::not_zero("StpHubConfig::queue.capacity", self.queue.capacity)?;
        BadSetting::not_zero("StpHubConfig::queue.max_messages", self.queue.max_messages)?;
        BadSetting::not_zero("StpHubConfig::queue.max_bytes", self.queue.max_bytes)?;
        BadSetting::lasts("StpHubConfig::queue.stall_timeout", self.queue.stall_timeout)?;
        BadSetting::not_zero("StpHubConfig::session_memory_limit", self.session_memory_limit)?;
        BadSetting::not_zero("StpHubConfig::max_sessions", self.max_sessions)?;
        BadSetting::not_zero("StpHubConfig::max_pending", self.max_pending)?;
        BadSetting::lasts("StpHubConfig::register_timeout", self.register_timeout)
    }
}
