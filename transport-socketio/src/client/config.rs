use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{MESSAGE, PATH};

const MIB: usize = 1024 * 1024;

/// Who may connect to a plugin, and within which limits.
///
/// The defaults are for a plugin on the engine's own machine: loopback only, no browser pages, no token.
#[derive(Clone)]
#[non_exhaustive]
pub struct SocketIoServerConfig {
    /// The namespace that engines connect to. Default: `/`. It begins with a slash; the part of an engine's URL after
    /// the port.
    pub namespace: String,
    /// The path of socket.io's requests. Default: `/socket.io`. An engine has to know it, too.
    pub path: String,
    /// What an engine has to know: the field `token` of its CONNECT packet's `auth`, as in
    /// `io(url, { auth: { token } })`. Default: none. It must not be empty. Without TLS anyone between the two ends can
    /// read it.
    pub token: Option<String>,
    /// The origins whose pages may connect, each as a browser writes it: `https://remix.ethereum.org`, without a path.
    /// Default: none.
    ///
    /// Browsers send `Origin` and let no page change it. A request with an origin that is not listed is refused with
    /// HTTP 403, over long polling and websockets alike, so that no website a user happens to visit can talk to a
    /// plugin on the user's machine; a listed one also gets the headers of CORS. A request without one comes from no
    /// browser's page on another site and passes. There are no wildcards.
    pub allow_origins: Vec<String>,
    /// Engines connected at once; one more is turned away. Default: 64.
    pub max_connections: usize,
    /// The largest message in bytes, in either direction. Default: 16 MiB. Over long polling
    /// [`max_polling_body`](SocketIoServerConfig#structfield.max_polling_body) holds as well. A larger one is not sent; one that
    /// comes ends the connection.
    ///
    /// What an engine takes is not known here. One that is built on rust_socketio takes a websocket frame of 16 MiB, so
    /// that the largest message it gets is 14 bytes shorter (15 and the namespace, if that is not `/`): one that is
    /// longer ends its connection.
    pub max_message: usize,
    /// The most bytes of one request of long polling, in either direction. Default: 2 MiB. socket.io tells it to
    /// engines, which divide what they send accordingly; one message has to fit.
    pub max_polling_body: usize,
    /// How often an engine is pinged; sent to it at the beginning, so that it notices a silent plugin. Default: 5 s.
    pub ping_interval: Duration,
    /// How long an engine may take to answer a ping. Default: 5 s. A ping or its answer waits behind a message that is
    /// on its way: on a line that takes longer than this for the largest one, raise it.
    pub ping_timeout: Duration,
    /// Whether an address that other machines can reach may be bound. Default: no. A mounted service is its owner's to
    /// guard.
    pub allow_remote: bool,
    /// Serves `https://` with this certificate. Default: none, `http://`. A mounted service is served by its owner.
    pub tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
}

impl Default for SocketIoServerConfig {
    fn default() -> SocketIoServerConfig {
        SocketIoServerConfig {
            namespace: "/".to_owned(),
            path: PATH.to_owned(),
            token: None,
            allow_origins: Vec::new(),
            max_connections: 64,
            max_message: MESSAGE,
            max_polling_body: 2 * MIB,
            ping_interval: Duration::from_secs(5),
            ping_timeout: Duration::from_secs(5),
            allow_remote: false,
            tls: None,
        }
    }
}

impl SocketIoServerConfig {
    /// Sets [`namespace`](SocketIoServerConfig#structfield.namespace); a slash is put before it if it has none.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> SocketIoServerConfig {
        self.namespace = with_slash(namespace.into());
        self
    }

    /// Sets [`path`](SocketIoServerConfig#structfield.path); a slash is put before it if it has none.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> SocketIoServerConfig {
        self.path = with_slash(path.into()).trim_end_matches('/').to_owned();
        self
    }

    /// Sets [`token`](SocketIoServerConfig#structfield.token).
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> SocketIoServerConfig {
        self.token = Some(token.into());
        self
    }

    /// Adds one to [`allow_origins`](SocketIoServerConfig#structfield.allow_origins).
    #[must_use]
    pub fn allow_origin(mut self, origin: impl Into<String>) -> SocketIoServerConfig {
        self.allow_origins.push(origin.into());
        self
    }

    /// Sets [`max_connections`](SocketIoServerConfig#structfield.max_connections).
    #[must_use]
    pub fn max_connections(mut self, engines: usize) -> SocketIoServerConfig {
        self.max_connections = engines;
        self
    }

    /// Sets [`max_message`](SocketIoServerConfig#structfield.max_message), in bytes.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> SocketIoServerConfig {
        self.max_message = bytes;
        self
    }

    /// Sets [`max_polling_body`](SocketIoServerConfig#structfield.max_polling_body), in bytes.
    #[must_use]
    pub fn max_polling_body(mut self, bytes: usize) -> SocketIoServerConfig {
        self.max_polling_body = bytes;
        self
    }

    /// Sets [`ping_interval`](SocketIoServerConfig#structfield.ping_interval). At least 1 ms.
    #[must_use]
    pub fn ping_interval(mut self, interval: Duration) -> SocketIoServerConfig {
        self.ping_interval = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets [`ping_timeout`](SocketIoServerConfig#structfield.ping_timeout). At least 1 ms.
    #[must_use]
    pub fn ping_timeout(mut self, timeout: Duration) -> SocketIoServerConfig {
        self.ping_timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets [`allow_remote`](SocketIoServerConfig#structfield.allow_remote).
    #[must_use]
    pub fn allow_remote(mut self, allow: bool) -> SocketIoServerConfig {
        self.allow_remote = allow;
        self
    }

    /// Sets [`tls`](SocketIoServerConfig#structfield.tls).
    #[must_use]
    pub fn tls(mut self, config: Arc<tokio_rustls::rustls::ServerConfig>) -> SocketIoServerConfig {
        self.tls = Some(config);
        self
    }

    /// After how long an engine is silent.
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

/// Without the token.
impl fmt::Debug for SocketIoServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoServerConfig")
            .field("namespace", &self.namespace)
            .field("path", &self.path)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("allow_origins", &self.allow_origins)
            .field("max_connections", &self.max_connections)
            .field("max_message", &self.max_message)
            .field("max_polling_body", &self.max_polling_body)
            .field("ping_interval", &self.ping_interval)
            .field("ping_timeout", &self.ping_timeout)
            .field("allow_remote", &self.allow_remote)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let text = format!("{:?}", SocketIoServerConfig::default().token("hunter2"));
        assert!(!text.contains("hunter"), "{text}");
    }

    #[test]
    fn slashes() {
        let config = SocketIoServerConfig::default().namespace("admin").path("a/b/");
        assert_eq!((config.namespace.as_str(), config.path.as_str()), ("/admin", "/a/b"));
    }
}
