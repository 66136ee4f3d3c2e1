use std::time::Duration;

use connector_core::BadSetting;

use crate::config::{DEFAULT_MAX_MESSAGE, DEFAULT_PATH};
use crate::tls::TlsConnector;

/// Configures a [`SocketIoConnector`](crate::SocketIoConnector). A value with which nothing can work, such as a limit of 0,
/// is an error of dialling.
#[derive(Clone, derive_more::Debug)]
#[non_exhaustive]
pub struct SocketIoConnectorConfig {
    /// The path of socket.io's requests. Default: `/socket.io`.
    pub path: String,
    /// Sent to the namespace as the field `token` of `auth`. Default: none.
    ///
    /// The server at the plugin's URL receives it, and over `http://` it is readable on the network.
    #[debug("{:?}", token.as_ref().map(|_| "…"))]
    pub token: Option<String>,
    /// Additional headers of the first request, as names and values. A later header replaces an earlier one of the same
    /// name. Default: none.
    #[debug("{:?}", headers.iter().map(|(name, _)| name).collect::<Vec<_>>())]
    pub headers: Vec<(String, String)>,
    /// The largest message sent, in bytes. Default: 16 MiB.
    ///
    /// Received messages are limited by `rust_engineio` to websocket frames of 16 MiB, of which socket.io uses 14 bytes
    /// (15 bytes and the namespace, unless that is `/`). A larger frame ends the link.
    pub max_message: usize,
    /// Total time for connecting, including name resolution, TLS and the namespace's answer. Default: 5 s.
    pub connect_timeout: Duration,
    /// The TLS configuration for `https://`: trusted authorities and the client certificate. Default: none, which trusts
    /// the system's authorities.
    #[debug("{}", tls.is_some())]
    pub tls: Option<TlsConnector>,
}

impl Default for SocketIoConnectorConfig {
    fn default() -> SocketIoConnectorConfig {
        SocketIoConnectorConfig {
            path: DEFAULT_PATH.to_owned(),
            token: None,
            headers: Vec::new(),
            max_message: DEFAULT_MAX_MESSAGE,
            connect_timeout: Duration::from_secs(5),
            tls: None,
        }
    }
}

impl SocketIoConnectorConfig {
    /// Sets [`path`](SocketIoConnectorConfig#structfield.path). Default: `/socket.io`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> SocketIoConnectorConfig {
        self.path = path.into();
        self
    }

    /// Sets [`token`](SocketIoConnectorConfig#structfield.token). Default: none.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> SocketIoConnectorConfig {
        self.token = Some(token.into());
        self
    }

    /// Adds a header to [`headers`](SocketIoConnectorConfig#structfield.headers). Default: none.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> SocketIoConnectorConfig {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets [`max_message`](SocketIoConnectorConfig#structfield.max_message), in bytes. Default: 16 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> SocketIoConnectorConfig {
        self.max_message = bytes;
        self
    }

    /// Sets [`connect_timeout`](SocketIoConnectorConfig#structfield.connect_timeout). Default: 5 s.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> SocketIoConnectorConfig {
        self.connect_timeout = timeout;
        self
    }

    /// Sets [`tls`](SocketIoConnectorConfig#structfield.tls). Default: none, which trusts the system's authorities.
    #[must_use]
    pub fn tls(mut self, connector: TlsConnector) -> SocketIoConnectorConfig {
        self.tls = Some(connector);
        self
    }

    /// # Errors
    /// A setting with which no link can work.
    pub(super) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::not_zero("SocketIoConnectorConfig::max_message", self.max_message)?;
        self.token.iter().try_for_each(|token| BadSetting::not_empty("SocketIoConnectorConfig::token", token))?;
        BadSetting::lasts("SocketIoConnectorConfig::connect_timeout", self.connect_timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_cannot_work_is_an_error() {
        let good = SocketIoConnectorConfig::default;
        for (config, error) in [
            (good().max_message(0), "max_message is 0"),
            (good().token(""), "token is an empty text"),
            (good().connect_timeout(Duration::ZERO), "connect_timeout is 0ns"),
        ] {
            let text = config.check().unwrap_err().to_string();
            assert!(text.starts_with(&format!("SocketIoConnectorConfig::{error}")), "{text}");
        }
    }
}
