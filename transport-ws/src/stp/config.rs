use std::time::Duration;

use crate::plugin::WsConnectorConfig;

/// How a service connects to STP.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StpWsConfig {
    /// How it dials: limits and times of each link, a token, TLS. Default: [`WsConnectorConfig::default`].
    pub dial: WsConnectorConfig,
    /// The delay before the first redial of a lost connection is at most this; then it doubles. Each delay is drawn
    /// evenly between nothing and its bound, and a success starts anew. Default 50 ms.
    pub redial_first: Duration,
    /// The most a redial is delayed. Default 1 s.
    pub redial_most: Duration,
    /// Messages that may wait for the connection before `inform` and `request` wait for room. Default 1,024. At least
    /// 1.
    pub queue: usize,
    /// Requests of this service that may wait for their answer at once; more end as
    /// [`Busy`](connector_core::stp::StpRequestError::Busy). Default 16,384.
    pub requests: usize,
    /// Requests to this service that may wait for its handler at once, at most 64 MiB of them; more are refused.
    /// Default 1,024.
    pub asked: usize,
}

impl Default for StpWsConfig {
    fn default() -> StpWsConfig {
        StpWsConfig {
            dial: WsConnectorConfig::default(),
            redial_first: Duration::from_millis(50),
            redial_most: Duration::from_secs(1),
            queue: 1024,
            requests: 16_384,
            asked: 1024,
        }
    }
}

impl StpWsConfig {
    /// Sets [`dial`](StpWsConfig#structfield.dial).
    #[must_use]
    pub fn dial(mut self, config: WsConnectorConfig) -> StpWsConfig {
        self.dial = config;
        self
    }

    /// Sets [`redial_first`](StpWsConfig#structfield.redial_first) and
    /// [`redial_most`](StpWsConfig#structfield.redial_most).
    #[must_use]
    pub fn redial(mut self, first: Duration, most: Duration) -> StpWsConfig {
        (self.redial_first, self.redial_most) = (first, most);
        self
    }

    /// Sets [`queue`](StpWsConfig#structfield.queue).
    #[must_use]
    pub fn queue(mut self, messages: usize) -> StpWsConfig {
        self.queue = messages;
        self
    }

    /// Sets [`requests`](StpWsConfig#structfield.requests).
    #[must_use]
    pub fn requests(mut self, requests: usize) -> StpWsConfig {
        self.requests = requests;
        self
    }

    /// Sets [`asked`](StpWsConfig#structfield.asked).
    #[must_use]
    pub fn asked(mut self, requests: usize) -> StpWsConfig {
        self.asked = requests;
        self
    }
}
