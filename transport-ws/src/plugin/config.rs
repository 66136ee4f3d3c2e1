use std::sync::Arc;

use crate::config::WsConfig;
use crate::tls::ClientConfig;

/// Configures a [`WsConnector`](crate::WsConnector).
#[derive(Clone, derive_more::Debug, Default)]
#[non_exhaustive]
pub struct WsConnectorConfig {
    /// Limits and timeouts of each link. Default: [`WsConfig::default`].
    pub ws: WsConfig,
    /// Sent as `Authorization: Bearer <token>` with each upgrade. Default: none.
    ///
    /// The server at the plugin's URL receives it, and over `ws://` it is readable on the network.
    #[debug("{:?}", token.as_ref().map(|_| "…"))]
    pub token: Option<String>,
    /// Additional headers of the upgrade request, as names and values. A later header replaces an earlier one of the
    /// same name. Default: none.
    #[debug("{:?}", headers.iter().map(|(name, _)| name).collect::<Vec<_>>())]
    pub headers: Vec<(String, String)>,
    /// The requested subprotocols, in order of preference. Default: none.
    ///
    /// The dial fails unless the server selects one of them. The message format does not depend on the subprotocol.
    pub subprotocols: Vec<String>,
    /// The TLS configuration for `wss://`: trusted authorities and the client certificate. Default: none, which means
    /// TLS 1.2 and 1.3 with Mozilla's root certificates, the ring provider and no client certificate.
    #[debug("{}", tls.is_some())]
    pub tls: Option<Arc<ClientConfig>>,
}

impl WsConnectorConfig {
    /// Sets [`ws`](WsConnectorConfig#structfield.ws), the limits and timeouts of each link. Default: [`WsConfig::default`].
    #[must_use]
    pub fn ws(mut self, config: WsConfig) -> WsConnectorConfig {
        self.ws = config;
        self
    }

    /// Sets [`token`](WsConnectorConfig#structfield.token). Default: none.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> WsConnectorConfig {
        self.token = Some(token.into());
        self
    }

    /// Adds a header to [`headers`](WsConnectorConfig#structfield.headers). Default: none.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> WsConnectorConfig {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Appends a subprotocol to [`subprotocols`](WsConnectorConfig#structfield.subprotocols). Default: none.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> WsConnectorConfig {
        self.subprotocols.push(name.into());
        self
    }

    /// Sets [`tls`](WsConnectorConfig#structfield.tls). Default: none, which trusts Mozilla's root certificates.
    #[must_use]
    pub fn tls(mut self, config: Arc<ClientConfig>) -> WsConnectorConfig {
        self.tls = Some(config);
        self
    }
}

/// Names the provider because the process may have no default provider, or another one.
pub(super) fn default_tls() -> Result<Arc<ClientConfig>, rustls::Error> {
    let roots: rustls::RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_configuration_does_not_need_a_process_default_provider() {
        assert!(!default_tls().unwrap().crypto_provider().cipher_suites.is_empty());
    }
}
