use std::sync::Arc;

use connector_core::BadSetting;

use crate::config::WsConfig;
use crate::tls::ServerConfig;

/// Configures a [`WsServer`](crate::WsServer): access, limits and TLS.
///
/// The defaults suit a plugin on the engine's machine: loopback only, no web pages, no token.
///
#[cfg_attr(feature = "plugin", doc = "```no_run")]
#[cfg_attr(not(feature = "plugin"), doc = "```ignore")]
/// use connector_core::{Engine, Plugin};
/// use transport_ws::{WsConnectorConfig, WsServerConfig};
///
/// # async fn example(engine: Engine, token: &str) -> Result<(), Box<dyn std::error::Error>> {
/// // In the plugin's program:
/// let config = WsServerConfig::default().token(token).allow_remote(true);
/// let (_url, serving) = transport_ws::serve_with("0.0.0.0:4000", || Plugin::new("clock"), config).await?;
/// serving.await;
///
/// // In the host:
/// let config = WsConnectorConfig::default().token(token);
/// engine.register(transport_ws::plugin_with("clock", "ws://clock.example:4000", config))?;
/// # Ok(()) }
/// ```
#[derive(Clone, derive_more::Debug)]
#[non_exhaustive]
pub struct WsServerConfig {
    /// Limits and timeouts of each link. Default: [`WsConfig::default`].
    pub ws: WsConfig,
    /// Maximum number of open links. Further connections are rejected with HTTP 503, unless a link whose engine has not
    /// performed the plugin handshake can be closed instead, as in `max_handshakes`. A link counts until it is dropped.
    /// Default: 64. At least 1.
    pub max_connections: usize,
    /// Maximum number of open links of one address on another machine: an IPv4 address, or a /64 prefix of IPv6. Further
    /// connections are rejected with HTTP 503, as with `max_connections`. Default: 16. At least 1; `None` leaves only
    /// `max_connections`.
    ///
    /// Clients on this machine are not limited. Clients behind one proxy or router share its address: raise it for them.
    pub max_connections_per_address: Option<usize>,
    /// Maximum number of pending connections: those that have not finished TLS, the upgrade and the plugin handshake.
    /// Default: 256. At least 1.
    ///
    /// If a further one arrives, the oldest pending connection is closed, or the new one waits until that has been
    /// pending for 75 ms. Of several addresses, the one with the most pending connections loses one. A pending
    /// connection may send at most 64 KiB in total.
    pub max_handshakes: usize,
    /// The origins whose pages may connect, in a browser's notation without a path: `https://remix.ethereum.org`.
    /// Default: none.
    ///
    /// Browsers send `Origin` and do not let pages change it. A request from an origin that is not listed is rejected
    /// with HTTP 403, so that websites cannot reach a plugin on the visitor's machine. A request without `Origin` does
    /// not come from a browser and is accepted. Wildcards, and the
    /// origin `null` of sandboxed frames, are errors of `bind`.
    pub allow_origins: Vec<String>,
    /// The token that engines must send; otherwise they are rejected with HTTP 401. Default: none required.
    ///
    /// Engines send it in the header `Authorization: Bearer <token>`, or as `?token=<token>` in the URL because
    /// browsers cannot set headers. It must not be empty, and consist of printable ASCII, without spaces around it. Over
    /// `ws://` it is readable on the network.
    #[debug("{:?}", token.as_ref().map(|_| "…"))]
    pub token: Option<String>,
    /// The supported websocket subprotocols, for clients that request one (`new WebSocket(url, "x")` in a browser).
    /// Default: none.
    ///
    /// The server selects the first subprotocol in the client's list that is also in this one. A client that requests
    /// none is accepted. A client that requests only others is rejected with HTTP 400, because it would fail the
    /// connection anyway. The message format does not depend on the subprotocol. Each entry is a case-sensitive token
    /// as defined in RFC 6455, without spaces or commas.
    pub subprotocols: Vec<String>,
    /// Whether the server may bind an address that is reachable from other machines. Default: false.
    pub allow_remote: bool,
    /// Serves `wss://` with this configuration. Default: none, which serves `ws://`.
    #[debug("{}", tls.is_some())]
    pub tls: Option<Arc<ServerConfig>>,
}

impl Default for WsServerConfig {
    fn default() -> WsServerConfig {
        WsServerConfig {
            ws: WsConfig::default(),
            max_connections: 64,
            max_connections_per_address: Some(16),
            max_handshakes: 256,
            allow_origins: Vec::new(),
            token: None,
            subprotocols: Vec::new(),
            allow_remote: false,
            tls: None,
        }
    }
}

impl WsServerConfig {
    /// Sets [`ws`](WsServerConfig#structfield.ws), the limits and timeouts of each link. Default: [`WsConfig::default`].
    #[must_use]
    pub fn ws(mut self, config: WsConfig) -> WsServerConfig {
        self.ws = config;
        self
    }

    /// Sets [`max_connections`](WsServerConfig#structfield.max_connections), in links. Default: 64; at least
    /// 1.
    #[must_use]
    pub fn max_connections(mut self, links: usize) -> WsServerConfig {
        self.max_connections = links;
        self
    }

    /// Sets [`max_connections_per_address`](WsServerConfig#structfield.max_connections_per_address), in links. Default: 16;
    /// at least 1, or `None`.
    #[must_use]
    pub fn max_connections_per_address(mut self, links: Option<usize>) -> WsServerConfig {
        self.max_connections_per_address = links;
        self
    }

    /// Sets [`max_handshakes`](WsServerConfig#structfield.max_handshakes), in connections. Default: 256; at least 1.
    #[must_use]
    pub fn max_handshakes(mut self, connections: usize) -> WsServerConfig {
        self.max_handshakes = connections;
        self
    }

    /// Adds an origin to [`allow_origins`](WsServerConfig#structfield.allow_origins). Default: none.
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> WsServerConfig {
        self.allow_origins.push(origin.into());
        self
    }

    /// Sets [`token`](WsServerConfig#structfield.token). Default: none required.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> WsServerConfig {
        self.token = Some(token.into());
        self
    }

    /// Adds a subprotocol to [`subprotocols`](WsServerConfig#structfield.subprotocols). Default: none.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> WsServerConfig {
        self.subprotocols.push(name.into());
        self
    }

    /// Sets [`allow_remote`](WsServerConfig#structfield.allow_remote). Default: false.
    #[must_use]
    pub fn allow_remote(mut self, allow: bool) -> WsServerConfig {
        self.allow_remote = allow;
        self
    }

    /// Sets [`tls`](WsServerConfig#structfield.tls). Default: none, which serves `ws://`.
    #[must_use]
    pub fn tls(mut self, config: Arc<ServerConfig>) -> WsServerConfig {
        self.tls = Some(config);
        self
    }

    /// # Errors
    /// A setting with which no client can connect.
    pub(super) fn check(&self) -> Result<(), BadSetting> {
        self.ws.check()?;
        BadSetting::not_zero("WsServerConfig::max_connections", self.max_connections)?;
        let per_address = self.max_connections_per_address.unwrap_or(usize::MAX);
        BadSetting::not_zero("WsServerConfig::max_connections_per_address", per_address)?;
        BadSetting::not_zero("WsServerConfig::max_handshakes", self.max_handshakes)?;
        self.token.iter().try_for_each(|token| BadSetting::header_token("WsServerConfig::token", token))
    }
}
