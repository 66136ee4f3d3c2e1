//! Dials plugins.

use std::panic::AssertUnwindSafe;

use connector_core::{ConnectError, ExternalProfile, Link, PluginConnector, Profile, Registration, async_trait};
use futures_util::{FutureExt, StreamExt};
use rust_engineio::asynchronous::{Client, ClientBuilder};
use rust_engineio::header::{HeaderMap, HeaderValue};
use rust_engineio::{Packet as Frame, PacketId};

use super::config::SocketIoConnectorConfig;
use super::errors;
use super::link::EngineIoLink;
use super::target::Target;
use crate::codec::Packet;

/// The engine's end: dials `http://` and `https://` URLs (or `ws://` and `wss://`), always as a websocket.
///
/// The URL's path, without decoding, is the namespace. Its query is sent with the first request.
///
/// A link ends as [`LinkEnd::Silent`](connector_core::LinkEnd::Silent) after the ping interval and timeout that the server
/// announces, at most 5 minutes in total. If that is longer than 20 s, the engine probes the plugin as well.
///
/// [`connect`](PluginConnector::connect) returns [`ConnectError::Refused`] when something must be put right: nothing
/// listens there, the name is unknown, the URL is invalid, the certificate is not trusted, the namespace is unknown or
/// rejects the token, or the server answers with HTTP 401, 403, 404 or a redirect. It returns [`ConnectError::TimedOut`],
/// [`ConnectError::Failed`] or [`ConnectError::Protocol`] when the next attempt may succeed. No error shows the URL's path
/// or query, or a user name or password in it.
#[derive(Debug, Default)]
pub struct SocketIoConnector {
    config: SocketIoConnectorConfig,
}

impl SocketIoConnector {
    /// Creates a connector that dials with `config`.
    pub fn new(config: SocketIoConnectorConfig) -> SocketIoConnector {
        SocketIoConnector { config }
    }

    async fn dial(&self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        let target = Target::parse(url, &self.config.path)?;
        // rust_engineio does not distinguish an unknown name from a network failure.
        if let Err(error) = tokio::net::lookup_host((target.host.as_str(), target.port)).await {
            return Err(errors::of_lookup(&error, &target.place));
        }
        let mut builder = ClientBuilder::new(target.url).headers(self.headers()?);
        if let Some(tls) = &self.config.tls {
            builder = builder.tls_config(tls.clone());
        }
        let of_dial = |error| errors::of_dial(error, &target.place);
        // rust_engineio adds the handshake's intervals, and panics in debug builds if the sum overflows.
        let built = AssertUnwindSafe(builder.build_websocket()).catch_unwind().await;
        let invalid_handshake = |_| ConnectError::Protocol(format!("{} sent an invalid handshake", target.place));
        let mut client = built.map_err(invalid_handshake)?.map_err(of_dial)?;
        client.connect().await.map_err(of_dial)?;
        let auth = self.config.token.as_ref().map(|token| serde_json::json!({ "token": token }).to_string());
        let connect = Frame::new(PacketId::Message, Packet::connect(&target.namespace, auth.as_deref()));
        client.emit(connect).await.map_err(of_dial)?;
        await_connected(&mut client, &target.namespace, &target.place).await?;
        Ok(Box::new(EngineIoLink::new(client, target.namespace, self.config.max_message)))
    }

    fn headers(&self) -> Result<HeaderMap, ConnectError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.config.headers {
            // rust_engineio would panic on an invalid header later.
            let invalid_header =
                || ConnectError::Refused(format!("the extra header \"{}\" is invalid", name.escape_debug()));
            let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
            if name.is_empty() || !name.bytes().all(token) || !value.bytes().all(|b| matches!(b, b' '..=b'~' | b'\t')) {
                return Err(invalid_header());
            }
            headers.insert(name.clone(), HeaderValue::from(value.clone()));
        }
        Ok(headers)
    }
}

/// Waits until the namespace accepts this engine. No message may be sent before.
async fn await_connected(client: &mut Client, namespace: &str, place: &str) -> Result<(), ConnectError> {
    while let Some(frame) = client.next().await {
        let frame = frame.map_err(|error| errors::of_dial(error, place))?;
        if frame.packet_id != PacketId::Message {
            continue;
        }
        match Packet::parse(&frame.data, namespace) {
            Ok(Packet::Connected) => return Ok(()),
            Ok(Packet::Refused(text)) => {
                // The error omits the namespace, because the URL's path may be secret.
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

/// The plugin `profile` (or just its name) that is served at a socket.io `url`, to be registered with an engine, with the
/// default configuration.
pub fn plugin(profile: impl Into<Profile>, url: &str) -> Registration {
    plugin_with(profile, url, SocketIoConnectorConfig::default())
}

/// As [`plugin`], with a configuration, for example a token.
pub fn plugin_with(profile: impl Into<Profile>, url: &str, config: SocketIoConnectorConfig) -> Registration {
    Registration::behind(ExternalProfile::new(profile, url), SocketIoConnector::new(config))
}

#[async_trait]
impl PluginConnector for SocketIoConnector {
    async fn connect(&mut self, url: &str) -> Result<Box<dyn Link>, ConnectError> {
        self.config.check().map_err(|bad| ConnectError::Refused(bad.to_string()))?;
        let limit = self.config.connect_timeout;
        tokio::time::timeout(limit, self.dial(url)).await.unwrap_or(Err(ConnectError::TimedOut(limit)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_headers_are_rejected() {
        let connector = |name: &str, value: &str| {
            SocketIoConnector::new(SocketIoConnectorConfig::default().header(name, value)).headers()
        };
        connector("X-A", "1").unwrap();
        for (name, value) in [("a b", ""), ("", ""), ("a", "\r\n"), ("a", "ü")] {
            assert!(connector(name, value).is_err(), "{name:?} {value:?}");
        }
    }
}
