//! The websocket server.

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use connector_core::{ClientConfig, ClientConnector, Excerpt, Link, LinkEnd, Plugin, Serving, async_trait};
use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite as ws;
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};
use transport_server::{BindError, Listener};
use ws::protocol::Role;

use super::WsServerConfig;
use super::auth::{Checks, UpgradeAuth};
use crate::link::{AnyLink, TrackedStream, WsLink, is_token};

type Upgrade = Pin<Box<dyn Future<Output = Option<Accepted>> + Send>>;

/// A new link, and details of its connection.
pub(crate) struct Accepted {
    pub(crate) link: Box<dyn AnyLink>,
    /// The request's path, undecoded.
    #[cfg_attr(not(feature = "stp"), allow(dead_code, reason = "used by the STP hub only"))]
    pub(crate) path: String,
    #[cfg_attr(not(feature = "stp"), allow(dead_code, reason = "used by the STP hub only"))]
    pub(crate) peer: SocketAddr,
}

/// The plugin's end: listens, and yields a link for each engine that connects.
///
/// Upgrades run concurrently while [`accept`](ClientConnector::accept) is awaited, so a slow, silent or hostile client
/// does not delay the others. Each upgrade ends within
/// [`WsConfig::accept_timeout`](crate::WsConfig#structfield.accept_timeout). A connection that proves nothing gives way
/// to newer ones ([`WsServerConfig::max_handshakes`]). Rejected clients are traced as warnings, at
/// most one a second with the number suppressed, and other failures at level `debug`. Dropping the server stops
/// listening; links already accepted stay open.
#[derive(Debug)]
#[must_use = "dropping it stops listening"]
pub struct WsServer {
    listener: Listener,
    checks: Arc<Checks>,
    upgrades: FuturesUnordered<Upgrade>,
}

impl WsServer {
    /// Binds `addr`, for example `"127.0.0.1:0"` for a free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is not a loopback address and remote access is not allowed, the token is empty, a subprotocol or an
    /// allowed origin is invalid, another setting cannot work ([`BindError::Setting`]), or the address cannot be resolved
    /// or bound.
    pub async fn bind(addr: impl ToSocketAddrs + fmt::Debug, config: WsServerConfig) -> Result<WsServer, BindError> {
        if let Some(name) = config.subprotocols.iter().find(|name| !is_token(name)) {
            return Err(BindError::Subprotocol { name: name.clone() });
        }
        let checks = Checks::new(config)?;
        let listener = Listener::bind(addr, checks.config.allow_remote, checks.config.token.as_deref()).await?;
        Ok(WsServer { listener, checks: Arc::new(checks), upgrades: FuturesUnordered::new() })
    }

    /// The bound address, with the actual port.
    pub fn local_addr(&self) -> SocketAddr {
        self.listener.local_addr()
    }

    /// The `url` for the plugin's profile, for example `ws://127.0.0.1:8080`. It does not contain the token.
    ///
    /// For a server bound to the unspecified address, the URL names the loopback address.
    pub fn url(&self) -> String {
        self.listener.url(if self.checks.config.tls.is_some() { "wss" } else { "ws" })
    }

    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Accepted> {
        loop {
            match self.upgrades.poll_next_unpin(cx) {
                Poll::Ready(Some(Some(accepted))) => return Poll::Ready(accepted),
                Poll::Ready(Some(None)) => continue,
                Poll::Ready(None) | Poll::Pending => {}
            }
            let (stream, peer, ticket) = ready!(self.listener.poll_enter(&self.checks.admission, cx));
            let auth = UpgradeAuth::new(Arc::clone(&self.checks), peer, ticket);
            self.upgrades.push(Box::pin(accept_upgrade(stream, peer, auth)));
        }
    }
}

/// Serves a plugin on `addr`, for example `"127.0.0.1:0"`, with the default configuration. Returns the URL for engines
/// and the serving future, which must be spawned. `plugin` creates the plugin for each engine that connects.
///
/// [`Serving::until`] stops it gracefully; dropping the future closes every link immediately. For a token, TLS, web
/// pages, remote access or other limits, use [`serve_with`].
///
/// # Errors
/// As [`WsServer::bind`].
pub async fn serve<A, P>(addr: A, plugin: P) -> Result<(String, Serving), BindError>
where
    A: ToSocketAddrs + fmt::Debug,
    P: Fn() -> Plugin + Send + 'static,
{
    serve_with(addr, plugin, WsServerConfig::default()).await
}

/// As [`serve`], with a configuration. For another [`ClientConfig`], use [`WsServer::bind`] and [`connector_core::serve`].
///
/// # Errors
/// As [`WsServer::bind`].
pub async fn serve_with<A, P>(addr: A, plugin: P, config: WsServerConfig) -> Result<(String, Serving), BindError>
where
    A: ToSocketAddrs + fmt::Debug,
    P: Fn() -> Plugin + Send + 'static,
{
    let server = WsServer::bind(addr, config).await?;
    Ok((server.url(), connector_core::serve(server, plugin, ClientConfig::default())))
}

/// Yields links as their upgrades finish. Never fails: an error concerns one client or is temporary. Cancel safe.
#[async_trait]
impl ClientConnector for WsServer {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        Ok(poll_fn(|cx| self.poll_accept(cx)).await.link)
    }
}

async fn accept_upgrade(stream: TcpStream, peer: SocketAddr, auth: UpgradeAuth) -> Option<Accepted> {
    let (checks, ticket) = (Arc::clone(&auth.checks), Arc::clone(&auth.ticket));
    let config = &checks.config;
    let upgrading = async {
        match &config.tls {
            None if starts_with_tls(&stream).await => Err(reject_tls(stream, &auth).await),
            None => websocket(stream, peer, auth).await,
            Some(tls) => {
                let stream = TlsAcceptor::from(tls.clone()).accept(stream).await.map_err(|e| format!("TLS: {e}"))?;
                websocket(stream, peer, auth).await
            }
        }
    };
    let upgrading = tokio::time::timeout(config.ws.accept_timeout, upgrading);
    let upgraded = match select(pin!(upgrading), pin!(ticket.displaced())).await {
        Either::Left((upgraded, _)) => upgraded,
        Either::Right(_) => Ok(Err("displaced by a newer connection before it had finished".to_owned())),
    };
    match upgraded {
        Ok(Ok(accepted)) => {
            tracing::debug!(%peer, "an engine connected");
            Some(accepted)
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, error = %Excerpt::new(error), "the upgrade failed");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "the upgrade did not finish within {:?}", config.ws.accept_timeout);
            None
        }
    }
}

/// Whether the first byte starts a TLS handshake.
async fn starts_with_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    // The next read reports an error.
    matches!(stream.peek(&mut first).await, Ok(1)) && first == [22]
}

/// Answers in plain HTTP, so that a TLS client fails at once with a clear error instead of an unexpected end of file.
async fn reject_tls(mut stream: TcpStream, auth: &UpgradeAuth) -> String {
    const REASON: &str = "a ws:// server was dialled as wss://: dial ws://, or set WsServerConfig::tls";
    auth.trace_rejection(REASON, None);
    let answer =
        format!("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{REASON}", REASON.len());
    match answer_and_close(&mut stream, &answer).await {
        Ok(()) => REASON.to_owned(),
        Err(error) => error.to_string(),
    }
}

/// Sends an answer in plain HTTP, and waits until the client has closed: closing a socket with unread data resets it, which
/// may lose the answer.
async fn answer_and_close(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), answer: &str) -> io::Result<()> {
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}

/// The answer to a request that is not a websocket's.
fn not_a_websocket(error: &ws::Error) -> Option<String> {
    use ws::error::ProtocolError::{
        InvalidSecWebSocketKey, MissingConnectionUpgradeHeader, MissingSecWebSocketKey,
        MissingSecWebSocketVersionHeader, MissingUpgradeWebSocketHeader, WrongHttpMethod, WrongHttpVersion,
    };
    let (status, reason) = match error {
        ws::Error::Protocol(MissingSecWebSocketVersionHeader) => {
            ("426 Upgrade Required", "this server of a plugin speaks version 13 of the websocket protocol")
        }
        ws::Error::Protocol(
            WrongHttpMethod | WrongHttpVersion | MissingConnectionUpgradeHeader | MissingUpgradeWebSocketHeader,
        ) => ("426 Upgrade Required", "this is the websocket server of a plugin: dial it with a websocket client"),
        ws::Error::Protocol(MissingSecWebSocketKey | InvalidSecWebSocketKey) => {
            ("400 Bad Request", "the header Sec-WebSocket-Key is missing or invalid")
        }
        _ => return None,
    };
    Some(format!(
        "HTTP/1.1 {status}\r\nConnection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{reason}",
        reason.len()
    ))
}

async fn websocket<S>(stream: S, peer: SocketAddr, mut auth: UpgradeAuth) -> Result<Accepted, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let checks = Arc::clone(&auth.checks);
    let config = &checks.config.ws;
    let mut stream = TrackedStream::new(stream);
    // By reference, so that the stream is left to answer a client that does not ask for a websocket.
    let upgraded = accept_hdr_async_with_config(&mut stream, &mut auth, Some(config.tungstenite())).await.map(drop);
    if let Err(error) = upgraded {
        if let Some(answer) = not_a_websocket(&error) {
            answer_and_close(&mut stream, &answer).await.map_err(|error| error.to_string())?;
        }
        return Err(error.to_string());
    }
    // Nothing may follow the request before its answer, so no byte was left in a buffer.
    let ws = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config.tungstenite())).await;
    let link = WsLink::new(ws, config).pending(auth.ticket);
    Ok(Accepted { link: Box::new(link), path: auth.path, peer })
}
