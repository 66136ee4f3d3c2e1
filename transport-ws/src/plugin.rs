//! The engine's end: dials a plugin's `url`.

mod config;
mod dial;
mod errors;

use std::sync::Arc;

use connector_core::{
    ConnectError, ExternalProfile, Link, PluginConnector, Profile, Registration, async_trait, redacted_url,
};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue, header};
use url::{Host, Url};

pub use self::config::WsConnectorConfig;
use crate::link::{AnyLink, WsLink};
use crate::wire::{Wire, is_token};

/// The engine's end: dials `ws://` and `wss://`.
///
/// [`connect`](PluginConnector::connect) returns [`ConnectError::Refused`] when something must be put right: nothing
/// listens there, the name is unknown, the URL is invalid, the certificate is not trusted, or the server answers with
/// HTTP 401, 403, 404 or a redirect. It returns [`ConnectError::TimedOut`], [`ConnectError::Failed`] or
/// [`ConnectError::Protocol`] when the next attempt may succeed. No error shows the URL's path or query. A user name and
/// password in the URL are not sent: use a token.
#[derive(Debug, Default)]
pub struct WsConnector {
    config: WsConnectorConfig,
    /// The configuration's, or the default once it was needed.
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl WsConnector {
    /// Dials with `config`.
    pub fn new(config: WsConnectorConfig) -> WsConnector {
        WsConnector { tls: config.tls.clone(), config }
    }

    /// As [`connect`](PluginConnector::connect), for whoever sends other things than messages.
    pub(crate) async fn dial(&mut self, url: &str) -> Result<Box<dyn AnyLink>, ConnectError> {
        let limit = self.config.ws.connect_timeout;
        tokio::time::timeout(limit, self.dial_in_time(url)).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
    }

    async fn dial_in_time(&mut self, url: &str) -> Result<Box<dyn AnyLink>, ConnectError> {
        let target = Target::parse(url)?;
        let request = self.request(&target.url)?;
        let stream = dial::tcp(&target.host, target.port).await?;
        let _ = stream.set_nodelay(true);
        if !target.tls {
            return self.upgrade(request, stream, &target).await;
        }
        let name = ServerName::try_from(target.host.clone())
            .map_err(|_| ConnectError::Refused(format!("\"{}\" can be no name in a certificate", target.host)))?;
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
        let (ws, _) = client_async_with_config(request, Wire::new(stream), Some(config.tungstenite()))
            .await
            .map_err(|error| errors::of_upgrade(error, &target.to_string(), &self.config.subprotocols))?;
        Ok(Box::new(WsLink::new(ws, config, None)))
    }

    fn request(&self, url: &Url) -> Result<Request, ConnectError> {
        let refused = |what: &str| ConnectError::Refused(what.to_owned());
        let mut request =
            url.as_str().into_client_request().map_err(|e| ConnectError::Refused(format!("not a URL: {e}")))?;
        for (name, value) in &self.config.headers {
            let no_header = || ConnectError::Refused(format!("the extra header \"{}\" is none", name.escape_debug()));
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| no_header())?;
            let value = HeaderValue::from_str(value).map_err(|_| no_header())?;
            request.headers_mut().insert(name, value);
        }
        if let Some(name) = self.config.subprotocols.iter().find(|name| !is_token(name)) {
            return Err(ConnectError::Refused(format!("{name:?} cannot be a subprotocol")));
        }
        if let Ok(names) = HeaderValue::from_str(&self.config.subprotocols.join(", "))
            && !names.is_empty()
        {
            request.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, names);
        }
        if let Some(token) = &self.config.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
                .map_err(|_| refused("the token holds a character that no HTTP header may hold"))?;
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }

    fn tls(&mut self) -> Result<Arc<rustls::ClientConfig>, ConnectError> {
        if let Some(tls) = &self.tls {
            return Ok(tls.clone());
        }
        let tls = config::default_tls().map_err(|e| ConnectError::Refused(format!("TLS cannot be set up: {e}")))?;
        Ok(self.tls.insert(tls).clone())
    }
}

/// The plugin `profile` (a name will do) at a websocket `url`, to be registered with an engine. For a token, headers or
/// TLS of one's own take [`Registration::behind`] with a [`WsConnector`].
pub fn plugin(profile: impl Into<Profile>, url: &str) -> Registration {
    Registration::behind(ExternalProfile::new(profile, url), WsConnector::default())
}

#[async_trait]
impl PluginConnector for WsConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        Ok(self.dial(url).await?)
    }
}

/// What a URL says of where to dial; shown without what may be secret.
pub(crate) struct Target {
    url: Url,
    /// A name or an address, the latter without brackets.
    host: String,
    port: u16,
    tls: bool,
}

impl Target {
    pub(crate) fn parse(url: &str) -> Result<Target, ConnectError> {
        let given = url;
        let mut url = Url::parse(given).map_err(|error| ConnectError::Refused(format!("not a URL: {error}")))?;
        let tls = match url.scheme() {
            "ws" => false,
            "wss" => true,
            _ => {
                let text =
                    format!("a websocket's URL begins with ws:// or wss://, and this is {}", redacted_url(given));
                return Err(ConnectError::Refused(text));
            }
        };
        url.set_fragment(None);
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => return Err(ConnectError::Refused("the URL names no host".to_owned())),
        };
        let port = url.port().unwrap_or(if tls { 443 } else { 80 });
        Ok(Target { url, host, port, tls })
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", self.url.scheme(), self.url.host_str().unwrap_or_default(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let at = |url| Target::parse(url).map(|t| format!("{} {} {} {t}", t.host, t.port, t.tls));
        assert_eq!(at("ws://localhost").unwrap(), "localhost 80 false ws://localhost:80");
        assert_eq!(at("wss://u:p@[::1]:9/x?token=y#z").unwrap(), "::1 9 true wss://[::1]:9");
        for bad in ["", "localhost:80", "http://localhost", "ws://", "ws://a b", "ws://localhost:99999"] {
            assert!(matches!(at(bad), Err(ConnectError::Refused(_))), "{bad}");
        }
    }

    #[test]
    fn headers() {
        let connector = |config| WsConnector::new(config).request(&Url::parse("ws://localhost/a?b#c").unwrap());
        let request = connector(WsConnectorConfig::default().token("t").header("X-A", "1")).unwrap();
        assert_eq!(request.headers()["authorization"], "Bearer t");
        assert_eq!(request.headers()["x-a"], "1");
        assert_eq!(request.uri().path_and_query().unwrap(), "/a?b");
        let request = connector(WsConnectorConfig::default().subprotocol("a").subprotocol("b.v2")).unwrap();
        assert_eq!(request.headers()["sec-websocket-protocol"], "a, b.v2");
        connector(WsConnectorConfig::default().subprotocol("a, b")).unwrap_err();
        connector(WsConnectorConfig::default().token("a\nb")).unwrap_err();
        connector(WsConnectorConfig::default().header("a b", "")).unwrap_err();
        connector(WsConnectorConfig::default().header("a", "\r\n")).unwrap_err();
    }
}
