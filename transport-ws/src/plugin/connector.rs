//! Dials plugins.

use std::sync::Arc;

use connector_core::BadSetting;
use connector_core::{ConnectError, ExternalProfile, Link, PluginConnector, Profile, Registration, async_trait};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, header};
use url::Url;

use super::config::{WsConnectorConfig, default_tls};
use super::target::Target;
use super::{errors, tcp};
use crate::link::{AnyLink, TrackedStream, WsLink, is_token};

/// The engine's end: dials `ws://` and `wss://` URLs.
///
/// [`connect`](PluginConnector::connect) returns [`ConnectError::Refused`] when something must be put right: nothing
/// listens there, the name is unknown, the URL is invalid, the certificate is not trusted, or the server answers with
/// HTTP 401, 403, 404 or a redirect. It returns [`ConnectError::TimedOut`], [`ConnectError::Failed`] or
/// [`ConnectError::Protocol`] when the next attempt may succeed. No error shows the URL's path or query. A user name and
/// password in the URL are not sent: use a token.
#[derive(Debug, Default)]
pub struct WsConnector {
    config: WsConnectorConfig,
    /// From the configuration, or the default once it has been built.
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl WsConnector {
    /// Creates a connector that dials with `config`.
    pub fn new(config: WsConnectorConfig) -> WsConnector {
        WsConnector { tls: config.tls.clone(), config }
    }

    /// Like [`connect`](PluginConnector::connect), for links that do not carry messages.
    pub(crate) async fn dial(&mut self, url: &str) -> Result<Box<dyn AnyLink>, ConnectError> {
        let refused = |bad: BadSetting| ConnectError::Refused(bad.to_string());
        self.config.ws.check().map_err(refused)?;
        let limit = self.config.ws.connect_timeout;
        tokio::time::timeout(limit, self.dial_in_time(url)).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
    }

    async fn dial_in_time(&mut self, url: &str) -> Result<Box<dyn AnyLink>, ConnectError> {
        let target = Target::parse(url)?;
        let request = self.request(&target.url)?;
        let stream = tcp::connect(&target.host, target.port).await?;
        let _ = stream.set_nodelay(true);
        if !target.tls {
            return self.upgrade(request, stream, &target).await;
        }
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| ConnectError::Refused(format!("\"{}\" is not a valid host name for TLS", target.host)))?;
        let tls = self.tls()?;
        let stream =
            TlsConnector::from(tls).connect(name, stream).await.map_err(|e| errors::of_tls(e, &target.to_string()))?;
        self.upgrade(request, stream, &target).await
    }

    async fn upgrade<S>(&self, request: Request, stream: S, target: &Target) -> Result<Box<dyn AnyLink>, ConnectError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = &self.config.ws;
        let sent_token = self.config.token.is_some() || target.has_token();
        let (ws, _) =
            client_async_with_config(request, TrackedStream::new(stream), Some(config.tungstenite())).await.map_err(
                |error| errors::of_upgrade(error, &target.to_string(), &self.config.subprotocols, sent_token),
            )?;
        Ok(Box::new(WsLink::new(ws, config)))
    }

    fn request(&self, url: &Url) -> Result<Request, ConnectError> {
        let refused = |bad: BadSetting| ConnectError::Refused(bad.to_string());
        let mut request = url
            .as_str()
            .into_client_request()
            .map_err(|e| ConnectError::Refused(format!("not a URL such as ws://127.0.0.1:4000: {e}")))?;
        for (name, value) in &self.config.headers {
            let invalid_header =
                || ConnectError::Refused(format!("the extra header \"{}\" is invalid", name.escape_debug()));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| invalid_header())?;
            let value = HeaderValue::from_str(value).map_err(|_| invalid_header())?;
            request.headers_mut().insert(name, value);
        }
        if let Some(name) = self.config.subprotocols.iter().find(|name| !is_token(name)) {
            return Err(ConnectError::Refused(format!("{name:?} is not a valid subprotocol")));
        }
        if let Ok(names) = HeaderValue::from_str(&self.config.subprotocols.join(", "))
            && !names.is_empty()
        {
            request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, names);
        }
        if let Some(token) = &self.config.token {
            BadSetting::not_empty("WsConnectorConfig::token", token).map_err(refused)?;
            BadSetting::header_token("WsConnectorConfig::token", token).map_err(refused)?;
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|error| ConnectError::Refused(error.to_string()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }

    fn tls(&mut self) -> Result<Arc<rustls::ClientConfig>, ConnectError> {
        if let Some(tls) = &self.tls {
            return Ok(tls.clone());
        }
        let tls = default_tls().map_err(|e| ConnectError::Refused(format!("TLS cannot be set up: {e}")))?;
        Ok(self.tls.insert(tls).clone())
    }
}

/// The plugin `profile` (or just its name) that is served at a websocket `url`, to be registered with an engine, with the
/// default configuration.
pub fn plugin(profile: impl Into<Profile>, url: &str) -> Registration {
    plugin_with(profile, url, WsConnectorConfig::default())
}

/// As [`plugin`], with a configuration, for example a token.
pub fn plugin_with(profile: impl Into<Profile>, url: &str, config: WsConnectorConfig) -> Registration {
    Registration::behind(ExternalProfile::new(profile, url), WsConnector::new(config))
}

#[async_trait]
impl PluginConnector for WsConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        Ok(self.dial(url).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_request_carries_valid_settings_and_rejects_invalid_ones() {
        let connector = |config| WsConnector::new(config).request(&Url::parse("ws://localhost/a?b#c").unwrap());
        let request = connector(WsConnectorConfig::default().token("t").header("X-A", "1")).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer t");
        assert_eq!(request.headers()["x-a"], "1");
        assert_eq!(request.uri().path_and_query().unwrap(), "/a?b");
        let request = connector(WsConnectorConfig::default().subprotocol("a").subprotocol("b.v2")).unwrap();
        assert_eq!(request.headers()["sec-websocket-protocol"], "a, b.v2");
        connector(WsConnectorConfig::default().subprotocol("a, b")).unwrap_err();
        connector(WsConnectorConfig::default().token("a\nb")).unwrap_err();
        connector(WsConnectorConfig::default().token("")).unwrap_err();
        connector(WsConnectorConfig::default().header("a b", "")).unwrap_err();
        connector(WsConnectorConfig::default().header("a", "\r\n")).unwrap_err();
    }
}
