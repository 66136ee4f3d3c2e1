use std::fmt;
use std::sync::Arc;

use crate::config::WsConfig;

/// Who may connect to a plugin, and how many.
///
/// The defaults are for a plugin on the engine's own machine: loopback only, no browser pages, no token.
#[derive(Clone)]
#[non_exhaustive]
pub struct WsServerConfig {
    /// Limits and times of each link.
    pub ws: WsConfig,
    /// Links alive at once; one more is refused with HTTP 503. A link counts until it is dropped. Default: 64.
    pub max_connections: usize,
    /// Connections at once that have not finished TLS and the upgrade; further ones wait in the kernel's backlog.
    /// Default: 64. At least 1.
    pub max_handshakes: usize,
    /// The origins whose pages may connect, each as a browser writes it: `https://remix.ethereum.org`, without a path.
    /// Default: none.
    ///
    /// Browsers send `Origin` and let no page change it; a request with an origin that is not listed is refused with
    /// HTTP 403, so that no website a user happens to visit can talk to a plugin on the user's machine. A request
    /// without one comes from no browser and passes. There are no wildcards.
    pub allow_origins: Vec<String>,
    /// What an engine has to know to connect; HTTP 401 otherwise. Default: none.
    ///
    /// It comes as the header `Authorization: Bearer <token>`, or as `?token=<token>` in the URL, since a browser
    /// cannot set headers. It must not be empty. Over `ws://` anyone between the two ends can read it.
    pub token: Option<String>,
    /// The subprotocols of websockets that are spoken here, for clients that ask for one (`new WebSocket(url, "x")` in a
    /// browser). Default: none.
    ///
    /// The first of those a client asks for that is in this list is its link's, and it is told so. A client that asks
    /// for none passes; one that asks for others alone is refused with HTTP 400, since it would itself give up a
    /// connection that does not speak what it asked for. What messages look like is the same in all of them. Each is a
    /// token as in RFC 6455, without spaces and commas, and case matters.
    pub subprotocols: Vec<String>,
    /// Whether an address that other machines can reach may be bound. Default: no.
    pub allow_remote: bool,
    /// Serves `wss://` with this certificate. Default: none, `ws://`.
    pub tls: Option<Arc<rustls::ServerConfig>>,
}

impl Default for WsServerConfig {
    fn default() -> WsServerConfig {
        WsServerConfig {
            ws: WsConfig::default(),
            max_connections: 64,
            max_handshakes: 64,
            allow_origins: Vec::new(),
            token: None,
            subprotocols: Vec::new(),
            allow_remote: false,
            tls: None,
        }
    }
}

impl WsServerConfig {
    /// Sets [`ws`](WsServerConfig#structfield.ws).
    #[must_use]
    pub fn ws(mut self, config: WsConfig) -> WsServerConfig {
        self.ws = config;
        self
    }

    /// Sets [`max_connections`](WsServerConfig#structfield.max_connections).
    #[must_use]
    pub fn max_connections(mut self, links: usize) -> WsServerConfig {
        self.max_connections = links;
        self
    }

    /// Sets [`max_handshakes`](WsServerConfig#structfield.max_handshakes).
    #[must_use]
    pub fn max_handshakes(mut self, connections: usize) -> WsServerConfig {
        self.max_handshakes = connections;
        self
    }

    /// Adds one to [`allow_origins`](WsServerConfig#structfield.allow_origins).
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> WsServerConfig {
        self.allow_origins.push(origin.into());
        self
    }

    /// Sets [`token`](WsServerConfig#structfield.token).
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> WsServerConfig {
        self.token = Some(token.into());
        self
    }

    /// Adds one to [`subprotocols`](WsServerConfig#structfield.subprotocols).
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> WsServerConfig {
        self.subprotocols.push(name.into());
        self
    }

    /// Sets [`allow_remote`](WsServerConfig#structfield.allow_remote).
    #[must_use]
    pub fn allow_remote(mut self, allow: bool) -> WsServerConfig {
        self.allow_remote = allow;
        self
    }

    /// Sets [`tls`](WsServerConfig#structfield.tls).
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ServerConfig>) -> WsServerConfig {
        self.tls = Some(config);
        self
    }
}

/// Without the token itself.
impl fmt::Debug for WsServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WsServerConfig")
            .field("ws", &self.ws)
            .field("max_connections", &self.max_connections)
            .field("max_handshakes", &self.max_handshakes)
            .field("allow_origins", &self.allow_origins)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("subprotocols", &self.subprotocols)
            .field("allow_remote", &self.allow_remote)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_not_printed() {
        let text = format!("{:?}", WsServerConfig::default().token("hunter2"));
        assert!(!text.contains("hunter2"), "{text}");
    }
}
