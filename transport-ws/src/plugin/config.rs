use std::fmt;
use std::sync::Arc;

use crate::config::WsConfig;

/// How an engine dials.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct WsConnectorConfig {
    /// Limits and times of each link.
    pub ws: WsConfig,
    /// Sent as `Authorization: Bearer <token>` with each upgrade. Default: none.
    ///
    /// Whoever answers at the plugin's URL gets to see it, and over `ws://` anyone between.
    pub token: Option<String>,
    /// Further headers of the upgrade, names and values. A later one of the same name replaces an earlier one.
    /// Default: none.
    pub headers: Vec<(String, String)>,
    /// The subprotocols asked for, the preferred first. Default: none.
    ///
    /// The server has to speak one of them: where it names none, or refuses, the dial fails, and the error says so. What
    /// messages look like is the same in all of them.
    pub subprotocols: Vec<String>,
    /// How `wss://` is dialled: whom to trust, and with which certificate of one's own. Default: none, which is TLS 1.2
    /// and 1.3 with Mozilla's root certificates and the ring provider.
    pub tls: Option<Arc<rustls::ClientConfig>>,
}

impl WsConnectorConfig {
    /// Sets [`ws`](WsConnectorConfig#structfield.ws).
    #[must_use]
    pub fn ws(mut self, config: WsConfig) -> WsConnectorConfig {
        self.ws = config;
        self
    }

    /// Sets [`token`](WsConnectorConfig#structfield.token).
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> WsConnectorConfig {
        self.token = Some(token.into());
        self
    }

    /// Adds one to [`headers`](WsConnectorConfig#structfield.headers).
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> WsConnectorConfig {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Adds one to [`subprotocols`](WsConnectorConfig#structfield.subprotocols), behind those that are there.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> WsConnectorConfig {
        self.subprotocols.push(name.into());
        self
    }

    /// Sets [`tls`](WsConnectorConfig#structfield.tls).
    #[must_use]
    pub fn tls(mut self, config: Arc<rustls::ClientConfig>) -> WsConnectorConfig {
        self.tls = Some(config);
        self
    }
}

/// Without the token and the headers' values, which may be secrets too.
impl fmt::Debug for WsConnectorConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("WsConnectorConfig")
            .field("ws", &self.ws)
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("headers", &names)
            .field("subprotocols", &self.subprotocols)
            .field("tls", &self.tls.is_some())
            .finish()
    }
}

/// The provider is named, since the process may have set none, or another.
pub(super) fn default_tls() -> Result<Arc<rustls::ClientConfig>, rustls::Error> {
    let roots: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let text = format!("{:?}", WsConnectorConfig::default().token("hunter2").header("Cookie", "hunter3"));
        assert!(!text.contains("hunter"), "{text}");
        assert!(text.contains("Cookie"), "{text}");
    }

    #[test]
    fn the_default_tls_needs_no_process_default() {
        assert!(!default_tls().unwrap().crypto_provider().cipher_suites.is_empty());
    }
}
