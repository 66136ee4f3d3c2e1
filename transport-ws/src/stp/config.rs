use std::time::Duration;

use connector_core::BadSetting;

use crate::plugin::WsConnectorConfig;

/// Configures a [`StpWsConnector`](super::StpWsConnector). A value with which nothing can work, such as a limit of 0, is an
/// error of [`connect`](connector_core::stp::StpConnector::connect).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StpWsConfig {
    /// Configures dialling: limits and timeouts of each link, a token, TLS. Default: [`WsConnectorConfig::default`].
    pub connector: WsConnectorConfig,
    /// Upper bound of the delay before the first attempt to reconnect. The bound doubles with each attempt, and is
    /// reset once a connection has lasted as long as `reconnect_max_delay`. Each delay is drawn uniformly between zero
    /// and its bound. Default: 50 ms.
    pub reconnect_min_delay: Duration,
    /// Maximum of the upper bound of reconnect delays. Default: 1 s.
    pub reconnect_max_delay: Duration,
    /// Maximum number of messages queued for the connection before `inform` and `request` wait for capacity. Default:
    /// 1,024. At least 1.
    pub capacity: usize,
    /// Maximum number of this service's requests that await an answer. Further requests fail as
    /// [`Busy`](connector_core::stp::StpRequestError::Busy). Default: 16,384.
    pub max_requests: usize,
    /// Maximum number of requests queued for this service's handler, with 64 MiB in total. Further requests are refused.
    /// Default: 1,024.
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
    /// Sets [`connector`](StpWsConfig#structfield.connector), which configures dialling. Default:
    /// [`WsConnectorConfig::default`].
    #[must_use]
    pub fn connector(mut self, config: WsConnectorConfig) -> StpWsConfig {
        self.connector = config;
        self
    }

    /// Sets [`reconnect_min_delay`](StpWsConfig#structfield.reconnect_min_delay) and
    /// [`reconnect_max_delay`](StpWsConfig#structfield.reconnect_max_delay). Default: 50 ms and 1 s.
    #[must_use]
    pub fn reconnect_delay(mut self, min: Duration, max: Duration) -> StpWsConfig {
        (self.reconnect_min_delay, self.reconnect_max_delay) = (min, max);
        self
    }

    /// Sets [`capacity`](StpWsConfig#structfield.capacity), in messages. Default: 1,024; at least 1.
    #[must_use]
    pub fn capacity(mut self, messages: usize) -> StpWsConfig {
        self.capacity = messages;
        self
    }

    /// Sets [`max_requests`](StpWsConfig#structfield.max_requests). Default: 16,384.
    #[must_use]
    pub fn max_requests(mut self, requests: usize) -> StpWsConfig {
        self.max_requests = requests;
        self
    }

    /// Sets [`max_incoming`](StpWsConfig#structfield.max_incoming), in requests. Default: 1,024.
    #[must_use]
    pub fn max_incoming(mut self, requests: usize) -> StpWsConfig {
        self.max_incoming = requests;
        self
    }

    /// # Errors
    /// A setting with which no message can be exchanged. Those of `connector` are checked when it dials.
    pub(super) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::not_zero("StpWsConfig::capacity", self.capacity)?;
        BadSetting::not_zero("StpWsConfig::max_requests", self.max_requests)?;
        BadSetting::not_zero("StpWsConfig::max_incoming", self.max_incoming)
    }
}
