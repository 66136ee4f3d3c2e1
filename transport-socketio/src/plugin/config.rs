use std::fmt;
use std::time::Duration;

use native_tls::TlsConnector;

use crate::config::{MESSAGE, PATH};

/// How an engine dials.
#[derive(Clone)]
#[non_exhaustive]
pub struct SocketIoConnectorConfig {
    /// The path of socket.io's requests. Default: `/socket.io`.
    pub path: String,
    /// Sent to the namespace as the field `token` of `auth`. Default: none.
    ///
    /// Whoever answers at the plugin's URL gets to see it, and over `http://` anyone between.
    pub token: Option<String>,
    /// Further headers of the first request, names and values. A later one of the same name replaces an earlier one.
    /// Default: none.
    pub headers: Vec<(String, String)>,
    /// The largest message that is sent, in bytes. Default: 16 MiB.
    ///
    /// What is received has the limit of rust_engineio: 16 MiB for a websocket frame, of which socket.io takes 14 bytes
    /// for itself (15 and the namespace, if that is not `/`). A larger one ends the link.
    pub max_message: usize,
    /// How long connecting may take, all told. Default: 5 s.
    pub connect_timeout: Duration,
    /// How `https://` is dialled: whom to trust, and with which certificate of one's own. Default: none, which trusts
    /// whom the system trusts.
    pub tls: Option<TlsConnector>,
}

impl Default for SocketIoConnectorConfig {
    fn default() -> SocketIoConnectorConfig {
        SocketIoConnectorConfig {
            path: PATH.to_owned(),
            token: None,
            headers: Vec::new(),
            max_message: MESSAGE,
            connect_timeout: Duration::from_secs(5),
            tls: None,
        }
    }
}

impl SocketIoConnectorConfig {
    /// Sets [`path`](SocketIoConnectorConfig#structfield.path).
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> SocketIoConnectorConfig {
        self.path = path.into();
        self
    }

    /// Sets [`token`](SocketIoConnectorConfig#structfield.token).
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> SocketIoConnectorConfig {
        self.token = Some(token.into());
        self
    }

    /// Adds one to [`headers`](SocketIoConnectorConfig#structfield.headers).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> SocketIoConnectorConfig {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets [`max_message`](SocketIoConnectorConfig#structfield.max_message), in bytes.
    #[must_use]
    pub fn max_message(mut self, bytes: usize) -> SocketIoConnectorConfig {
        self.max_message = bytes;
        self
    }

    /// Sets [`connect_timeout`](SocketIoConnectorConfig#structfield.connect_timeout).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> SocketIoConnectorConfig {
        self.connect_timeout = timeout;
        self
    }

    /// Sets [`tls`](SocketIoConnectorConfig#structfield.tls).
    #[must_use]
    pub fn tls(mut self, connector: TlsConnector) -> SocketIoConnectorConfig {
        self.tls = Some(connector);
        self
    }
}

/// Without the token and the headers' values, which may be secrets too.
impl fmt::Debug for SocketIoConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("SocketIoConnectorConfig")
            .field("path", &self.path)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("headers", &names)
            .field("max_message", &self.max_message)
            .field("connect_timeout", &self.connect_timeout)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let text = format!("{:?}", SocketIoConnectorConfig::default().token("hunter2").header("Cookie", "hunter3"));
        assert!(!text.contains("hunter"), "{text}");
        assert!(text.contains("Cookie"), "{text}");
    }
}
