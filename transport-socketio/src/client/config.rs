use std::sync::Arc;
use std::time::Duration;

use connector_core::BadSetting;

use crate::config::{DEFAULT_MAX_MESSAGE, DEFAULT_PATH};
use crate::tls::ServerConfig;

const MIB: usize = 1024 * 1024;

/// Configures a [`SocketIoServer`](crate::SocketIoServer) or [`mount`](crate::mount): access, limits and TLS.
///
/// The defaults suit a plugin on the engine's machine: loopback only, no web pages, no token.
///
#[cfg_attr(feature = "plugin", doc = "```no_run")]
#[cfg_attr(not(feature = "plugin"), doc = "```ignore")]
/// use connector_core::{Engine, Plugin};
/// use transport_socketio::{SocketIoConnectorConfig, SocketIoServerConfig};
///
/// # async fn example(engine: Engine, token: &str) -> Result<(), Box<dyn std::error::Error>> {
/// // In the plugin's program:
/// let config = SocketIoServerConfig::default().token(token).allow_remote(true);
/// let (_url, serving) = transport_socketio::serve_with("0.0.0.0:4000", || Plugin::new("clock"), config).await?;
/// serving.await;
///
/// // In the host:
/// let config = SocketIoConnectorConfig::default().token(token);
/// engine.register(transport_socketio::plugin_with("clock", "http://clock.example:4000", config))?;
/// # Ok(()) }
/// ```
#[derive(Clone, derive_more::Debug)]
#[non_exhaustive]
pub struct SocketIoServerConfig {
    /// The namespace that engines connect to, which is the path of their URL. A missing leading slash is added. Default: `/`.
    pub namespace: String,
    /// The path of socket.io's requests. Engines must use the same path. A missing leading slash is
    /// added, a trailing one removed. Default: `/socket.io`.
    pub path: String,
    /// The token that engines must send in the field `token` of their CONNECT packet's `auth`, as in
    /// `io(url, { auth: { token } })`. Default: none required. It must not be empty. Without TLS it is readable on the
    /// network.
    #[debug("{:?}", token.as_ref().map(|_| "…"))]
    pub token: Option<String>,
    /// The origins whose pages may connect, in a browser's notation without a path: `https://remix.ethereum.org`.
    /// Default: none.
    ///
    /// Browsers send `Origin` and do not let pages change it. A request from an origin that is not listed is rejected
    /// with HTTP 403, over long polling and websockets alike, so that websites cannot reach a plugin on the visitor's
    /// machine. Listed origins also receive CORS headers. A request without `Origin` does not come from a page on
    /// another site and is accepted. Wildcards, and the
    /// origin `null` of sandboxed frames, are errors of `bind`.
    pub allow_origins: Vec<String>,
    /// Maximum number of connected engines. Further engines are rejected. Default: 64. At least 1.
    pub max_connections: usize,
    /// Maximum number of connected engines of one address on another machine: an IPv4 address, or a /64 prefix of IPv6.
    /// Further engines are rejected. Default: 16. At least 1; `None` leaves only `max_connections`.
    ///
    /// Engines on this machine are not limited. Engines behind one proxy or router share its address: raise it for them.
    /// Ignored by [`mount`](crate::mount), which does not know addresses.
    pub max_connections_per_address: Option<usize>,
    /// The largest message in bytes, in either direction. Default: 16 MiB. Over long polling
    /// [`max_polling_body`](SocketIoServerConfig#structfield.max_polling_body) applies as well. Sending a larger message
    /// fails locally; receiving one ends the connection.
    ///
    /// An engine may have a lower limit. One built on `rust_socketio` accepts websocket frames of 16 MiB, so its largest
    /// message is 14 bytes shorter (15 bytes and the namespace, unless that is `/`). A longer one ends its connection.
    pub max_message: usize,
    /// The largest body of a long-polling request or response, in bytes. Default: 2 MiB. socket.io announces it to
    /// engines, which split their packets accordingly. Each message must fit into one body.
    pub max_polling_body: usize,
    /// The interval between pings. Announced to engines, so that they detect a silent plugin. Default: 5 s.
    pub ping_interval: Duration,
    /// Time within which an engine must answer a ping. Default: 10 s. A ping and its answer queue behind
    /// messages in transit: raise this if the line needs longer for the largest message.
    pub ping_timeout: Duration,
    /// Whether the server may bind an address that is reachable from other machines. Default: false. Ignored by
    /// [`mount`](crate::mount).
    pub allow_remote: bool,
    /// Serves `https://` with this configuration. Default: none, which serves `http://`. Ignored by
    /// [`mount`](crate::mount).
    #[debug("{}", tls.is_some())]
    pub tls: Option<Arc<ServerConfig>>,
}

impl Default for SocketIoServerConfig {
    fn default() -> SocketIoServerConfig {
        SocketIoServerConfig {
            namespace: "/".to_owned(),
            path: DEFAULT_PATH.to_owned(),
            token: None,
            allow_origins: Vec::new(),
            max_connections: 64,
            max_connections_per_address: Some(16),
            max_message: DEFAULT_MAX_MESSAGE,
            max_polling_body: 2 * MIB,
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(10),
            allow_remote: false,
            tls: None,
        }
    }
}

impl SocketIoServerConfig {
    /// Sets [`namespace`](SocketIoServerConfig#structfield.namespace). Default: `/`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> SocketIoServerConfig {
        self.namespace = namespace.into();
        self
    }

    /// Sets [`path`](SocketIoServerConfig#structfield.path). Default: `/socket.io`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> SocketIoServerConfig {
        self.path = path.into();
        self
    }

    /// Sets [`token`](SocketIoServerConfig#structfield.token). Default: none required.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> SocketIoServerConfig {
        self.token = Some(token.into());
        self
    }

    /// Adds an origin to [`allow_origins`](SocketIoServerConfig#structfield.allow_origins). Default: none.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> SocketIoServerConfig {
        self.allow_origins.push(origin.into());
        self
    }

    /// Sets [`max_connections`](SocketIoServerConfig#structfield.max_connections), in engines. Default: 64;
    /// at least 1.
    #[must_use]
    pub fn max_connections(mut self, engines: usize) -> SocketIoServerConfig {
        self.max_connections = engines;
        self
    }

    /// Sets [`max_connections_per_address`](SocketIoServerConfig#structfield.max_connections_per_address), in engines.
    /// Default: 16; at least 1, or `None`.
    #[must_use]
    pub fn max_connections_per_address(mut self, engines: Option<usize>) -> SocketIoServerConfig {
        self.max_connections_per_address = engines;
        self
    }

    /// Sets [`max_message`](SocketIoServerConfig#structfield.max_message), in bytes. Default: 16 MiB.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> SocketIoServerConfig {
        self.max_message = bytes;
        self
    }

    /// Sets [`max_polling_body`](SocketIoServerConfig#structfield.max_polling_body), in bytes. Default: 2 MiB.
    #[must_use]
    pub fn max_polling_body(mut self, bytes: usize) -> SocketIoServerConfig {
        self.max_polling_body = bytes;
        self
    }

    /// Sets [`ping_interval`](SocketIoServerConfig#structfield.ping_interval). Default: 5 s.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> SocketIoServerConfig {
        self.ping_interval = interval;
        self
    }

    /// Sets [`ping_timeout`](SocketIoServerConfig#structfield.ping_timeout). Default: 10 s.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> SocketIoServerConfig {
        self.ping_timeout = timeout;
        self
    }

    /// Sets [`allow_remote`](SocketIoServerConfig#structfield.allow_remote). Default: false.
    #[must_use]
    pub fn allow_remote(mut self, allow: bool) -> SocketIoServerConfig {
        self.allow_remote = allow;
        self
    }

    /// Sets [`tls`](SocketIoServerConfig#structfield.tls). Default: none, which serves `http://`.
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>) -> SocketIoServerConfig {
        self.tls = Some(config);
        self
    }

    /// This configuration with its paths in the form that requests have.
    ///
    /// # Errors
    /// A setting with which no engine can connect.
    pub(super) fn checked(mut self) -> Result<SocketIoServerConfig, BadSetting> {
        BadSetting::not_zero("SocketIoServerConfig::max_connections", self.max_connections)?;
        let per_address = self.max_connections_per_address.unwrap_or(usize::MAX);
        BadSetting::not_zero("SocketIoServerConfig::max_connections_per_address", per_address)?;
        BadSetting::not_zero("SocketIoServerConfig::max_message", self.max_message)?;
        BadSetting::not_zero("SocketIoServerConfig::max_polling_body", self.max_polling_body)?;
        BadSetting::lasts("SocketIoServerConfig::ping_interval", self.ping_interval)?;
        BadSetting::lasts("SocketIoServerConfig::ping_timeout", self.ping_timeout)?;
        self.namespace = with_slash(self.namespace);
        self.path = with_slash(self.path).trim_end_matches('/').to_owned();
        Ok(self)
    }

    /// The time without a sign of life after which an engine counts as silent.
    pub(super) fn silence(&self) -> Duration {
        self.ping_interval.saturating_add(self.ping_timeout)
    }
}

fn with_slash(text: String) -> String {
    match text.starts_with('/') {
        true => text,
        false => format!("/{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_completed() {
        let config = SocketIoServerConfig::default().namespace("admin").path("a/b/").checked().unwrap();
        assert_eq!((config.namespace.as_str(), config.path.as_str()), ("/admin", "/a/b"));
    }

    #[test]
    fn a_setting_that_cannot_work_is_an_error() {
        let good = SocketIoServerConfig::default;
        for (config, error) in [
            (good().max_connections(0), "max_connections is 0"),
            (good().max_connections_per_address(Some(0)), "max_connections_per_address is 0"),
            (good().max_message(0), "max_message is 0"),
            (good().max_polling_body(0), "max_polling_body is 0"),
            (good().ping_interval(Duration::ZERO), "ping_interval is 0ns"),
            (good().ping_timeout(Duration::ZERO), "ping_timeout is 0ns"),
        ] {
            let text = config.checked().unwrap_err().to_string();
            assert!(text.starts_with(&format!("SocketIoServerConfig::{error}")), "{text}");
        }
        good().max_connections_per_address(None).checked().unwrap();
    }
}
