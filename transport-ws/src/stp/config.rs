use std::time::Duration;

use crate::plugin::WsConnectorConfig;

/// How a service connects to STP.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StpWsConfig {
    /// How it dials: limits and times of each link, a token, TLS. Default: [`WsConnectorConfig::default`].
    pub connector: WsConnectorConfig,
    /// The delay before the first redial of a lost connection is at most this; then it doubles. Each delay is drawn
    /// evenly between nothing and its bound, and a success starts anew. Default 50 ms.
    pub reconnect_min_delay: Duration,
    /// The most a redial is delayed. Default 1 s.
    pub reconnect_max_delay: Duration,
    /// Messages that may wait for the connection before `inform` and `request` wait for room. Default 1,024. At least
    /// 1.
    pub capacity: usize,
    /// Requests of this service that may wait for their answer at once; more end as
    /// [`Busy`](connector_core::stp::StpRequestError::Busy). Default 16,384.
    pub max_requests: usize,
    /// Requests to this service that may wait for its handler at once, at most 64 MiB of them; more are refused.
    /// Default 1,024.
    pub max_incoming: usize,
}

impl Default for StpWsConfig {
    fn default() -> StpWsConfig {
        StpWsConfig {
            connector: WsConnectorConfig::default(),
            reconnect_min_delay: Duration::from_millis(50),
            reconnect_max_delay: Duration::from_secs(1),
            capacity: 1024,
            max_requests: 16_384,
            max_incoming: 1024,
        }
    }
}

impl StpWsConfig {
    /// Sets [`connector`](StpWsConfig#structfield.connector).
    #[must_use]
    pub fn connector(mut self, config: WsConnectorConfig) -> StpWsConfig {
        self.connector = config;
        self
    }

    /// Sets [`reconnect_min_delay`](StpWsConfig#structfield.reconnect_min_delay) and
    /// [`reconnect_max_delay`](StpWsConfig#structfield.reconnect_max_delay).
    #[must_use]
    pub fn reconnect_delay(mut self, first: Duration, most: Duration) -> StpWsConfig {
        (self.reconnect_min_delay, self.reconnect_max_delay) = (first, most);
        self
    }

    /// Sets [`capacity`](StpWsConfig#structfield.capacity).
    #[must_use]
    pub fn capacity(mut self, messages: usize) -> StpWsConfig {
        self.capacity = messages;
        self
    }

    /// Sets [`max_requests`](StpWsConfig#structfield.max_requests).
    #[must_use]
    pub fn max_requests(mut self, requests: usize) -> StpWsConfig {
        self.max_requests = requests;
        self
    }

    /// Sets [`max_incoming`](StpWsConfig#structfield.max_incoming).
    #[must_use]
    pub fn max_incoming(mut self, requests: usize) -> StpWsConfig {
        self.max_incoming = requests;
        self
    }
}
