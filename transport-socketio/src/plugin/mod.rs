//! The engine's end: dials a plugin's `url`.

mod config;
mod errors;
mod link;

use std::panic::AssertUnwindSafe;

use connector_core::{
    ConnectError, ExternalProfile, Link, PluginConnector, Profile, Registration, async_trait, redacted_url,
};
use futures_util::{FutureExt, StreamExt};
use rust_engineio::asynchronous::{Client, ClientBuilder};
use rust_engineio::header::{HeaderMap, HeaderValue};
use rust_engineio::{Packet as Frame, PacketId};
use url::{Host, Url};

pub use self::config::SocketIoConnectorConfig;
use self::link::ClientLink;
use crate::codec::Packet;

/// The engine's end: dials `http://` and `https://` (or `ws://` and `wss://`), always as a websocket.
///
/// The URL's path, as it is written, is the namespace; its query goes with the first request.
///
/// [`connect`](PluginConnector::connect) returns [`ConnectError::Refused`] when something must be put right: nothing
/// listens there, the name is unknown, the URL is invalid, the certificate is not trusted, the namespace is unknown or
/// wants another token, or the server answers with HTTP 401, 403, 404 or a redirect. It returns
/// [`ConnectError::TimedOut`], [`ConnectError::Failed`] or [`ConnectError::Protocol`] when the next attempt may succeed.
/// No error shows the URL's path or query, or a user name or password in it.
#[derive(Debug, Default)]
pub struct SocketIoConnector {
    config: SocketIoConnectorConfig,
}

impl SocketIoConnector {
    /// Dials with `config`.
    pub fn new(config: SocketIoConnectorConfig) -> SocketIoConnector {
        SocketIoConnector { config }
    }

    async fn dial(&self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let target = Target::parse(url, &self.config.path)?;
        // rust_engineio does not tell a name that is unknown from a network that is down.
        if let Err(error) = tokio::net::lookup_host((target.host.as_str(), target.port)).await {
            return Err(errors::of_lookup(&error, &target.place));
        }
        let mut builder = ClientBuilder::new(target.url).headers(self.headers()?);
        if let Some(tls) = &self.config.tls {
            builder = builder.tls_config(tls.clone());
        }
        let of_dial = |error| errors::of_dial(error, &target.place);
        // It adds up what the handshake says of times, and panics in a debug build if that is too much.
        let built = AssertUnwindSafe(builder.build_websocket()).catch_unwind().await;
        let no_sense =
            |_| ConnectError::Protocol(format!("what {} says in its handshake makes no sense", target.place));
        let mut client = built.map_err(no_sense)?.map_err(of_dial)?;
        client.connect().await.map_err(of_dial)?;
        let auth = self.config.token.as_ref().map(|token| serde_json::json!({ "token": token }).to_string());
        let connect = Frame::new(PacketId::Message, Packet::connect(&target.namespace, auth.as_deref()));
        client.emit(connect).await.map_err(of_dial)?;
        admitted(&mut client, &target.namespace, &target.place).await?;
        Ok(Box::new(ClientLink::new(client, target.namespace, self.config.max_message)))
    }

    fn headers(&self) -> Result<HeaderMap, ConnectError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.config.headers {
            // rust_engineio panics on these only later.
            let no_header = || ConnectError::Refused(format!("the extra header \"{}\" is none", name.escape_debug()));
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) || !value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')) {
                return Err(no_header());
            }
            headers.insert(name.clone(), HeaderValue::from(value.clone()));
        }
        Ok(headers)
    }
}

/// Waits until the namespace has let this engine in. Nothing may be sent before.
async fn admitted(client: &mut Client, namespace: &str, place: &str) -> Result<(), ConnectError> {
    while let Some(frame) = client.next().await {
        let frame = frame.map_err(|error| errors::of_dial(error, place))?;
        if frame.packet_id != PacketId::Message {
            continue;
        }
        match Packet::read(&frame.data, namespace) {
            Ok(Packet::Connected) => return Ok(()),
            Ok(Packet::Refused(text)) => {
                // The namespace is the URL's path, which may be a token.
                let text = format!(
                    "{place} does not let us into the namespace that the path of the plugin's url names ({text}): check \
                     that path, and SocketIoConnectorConfig::token"
                );
                return Err(ConnectError::Refused(text));
            }
            Ok(_) => {}
            Err(error) => return Err(ConnectError::Protocol(error.to_string())),
        }
    }
    Err(ConnectError::failed("the connection was closed before the namespace answered"))
}

/// The plugin `profile` (a name will do) at a socket.io server's `url`, to be registered with an engine. For a token,
/// headers or TLS of one's own take [`Registration::behind`] with a [`SocketIoConnector`].
pub fn plugin(profile: impl Into<Profile>, url: &str) -> Registration {
    Registration::behind(ExternalProfile::new(profile, url), SocketIoConnector::default())
}

#[async_trait]
impl PluginConnector for SocketIoConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let limit = self.config.connect_timeout;
        tokio::time::timeout(limit, self.dial(url)).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
    }
}

/// What a URL says of where to dial.
struct Target {
    /// Of engine.io.
    url: Url,
    namespace: String,
    /// A name or an address, the latter without brackets.
    host: String,
    port: u16,
    /// For errors: without path and query.
    place: String,
}

impl Target {
    fn parse(url: &str, path: &str) -> Result<Target, ConnectError> {
        let namespace = match path_of(url).trim_end_matches('/') {
            "" => "/".to_owned(),
            namespace => namespace.to_owned(),
        };
        let given = url;
        let mut url = Url::parse(given).map_err(|error| ConnectError::Refused(format!("not a URL: {error}")))?;
        if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
            let text = format!("a socket.io URL begins with http:// or https://, and this is {}", redacted_url(given));
            return Err(ConnectError::Refused(text));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(ConnectError::Refused("the URL names no host".to_owned())),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        let place = format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default());
        url.set_path(&format!("/{}/", path.trim_matches('/')));
        url.set_fragment(None);
        Ok(Target { url, namespace, host, port, place })
    }
}

/// The path as it is written, which is what socket.io in JavaScript takes for the namespace.
fn path_of(url: &str) -> &str {
    let after = url.split_once("://").map_or("", |(_, after)| after);
    let until_query = after.split(['?', '#']).next().unwrap_or_default();
    until_query.find('/').map_or("", |at| &until_query[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let at = |url| Target::parse(url, "/socket.io").map(|t| format!("{} {} {}", t.url, t.namespace, t.place));
        assert_eq!(at("http://localhost").unwrap(), "http://localhost/socket.io/ / http://localhost:80");
        let full = at("https://[::1]:9/admin/?a=b#c").unwrap();
        assert_eq!(full, "https://[::1]:9/socket.io/?a=b /admin https://[::1]:9");
        assert!(at("http://h?/a").unwrap().ends_with(" / http://h:80"));
        assert!(at("http://h/%41é/b#/c").unwrap().ends_with(" /%41é/b http://h:80"));
        for bad in ["", "localhost:80", "ftp://localhost", "http://", "http://a b"] {
            assert!(matches!(at(bad), Err(ConnectError::Refused(_))), "{bad}");
        }
    }

    #[test]
    fn headers() {
        let connector = |name: &str, value: &str| {
            SocketIoConnector::new(SocketIoConnectorConfig::default().header(name, value)).headers()
        };
        connector("X-A", "1").unwrap();
        for (name, value) in [("a b", ""), ("", ""), ("a", "\r\n"), ("a", "ü")] {
            assert!(connector(name, value).is_err(), "{name:?} {value:?}");
        }
    }
}
