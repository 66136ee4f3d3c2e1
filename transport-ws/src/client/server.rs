//! The websocket server.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::{ClientConfig, ClientConnector, Link, LinkEnd, Plugin, Serving, TraceLimit, async_trait};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs, lookup_host};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_hdr_async_with_config;

use super::WsServerConfig;
use super::auth::UpgradeAuth;
use crate::link::{AnyLink, WsLink};
use crate::stream::{TrackedStream, is_token};

/// The pause after the listener fails, for example because no file descriptor is free.
const BACKOFF: Duration = Duration::from_millis(100);

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

/// Why a server could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is reachable from other machines, and the configuration does not allow that.
    #[error(
        "{addr} can be reached from other machines: bind a loopback address such as 127.0.0.1, or allow it with \
         WsServerConfig::allow_remote and set a token"
    )]
    Remote {
        /// The requested address.
        addr: SocketAddr,
    },
    /// The token is empty, so every client would have it.
    #[error("the token is empty: set a long random one, or none")]
    EmptyToken,
    /// A subprotocol that is not a valid token, so no client can request it.
    #[error("{name:?} is not a valid subprotocol: use letters, digits and characters such as `-`, `.` and `_`")]
    Subprotocol {
        /// The entry of [`WsServerConfig::subprotocols`](WsServerConfig#structfield.subprotocols).
        name: String,
    },
    /// The address is malformed, or its host name cannot be resolved.
    #[error("cannot resolve the address to listen on ({0}): give a host and a port, such as 127.0.0.1:4000")]
    Resolve(io::Error),
    /// None of the addresses can be bound.
    #[error("cannot listen on {at} ({error}){}", remedy(error))]
    Io {
        /// The addresses tried.
        at: String,
        /// The system's error for the last address.
        error: io::Error,
    },
}

/// Advice for an address that cannot be bound.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another program already listens there, perhaps an earlier run of this one; stop it, or choose another port \
             (port 0 picks a free one)"
        }
        io::ErrorKind::PermissionDenied => {
            ": that port is reserved for privileged programs; choose one above 1023 (port 0 picks a free one)"
        }
        io::ErrorKind::AddrNotAvailable => {
            ": this machine does not have that address; use one that it has, such as 127.0.0.1"
        }
        _ => "",
    }
}

/// Binds the first of the addresses that can be bound.
async fn bind_first(addrs: &[SocketAddr]) -> Result<(TcpListener, SocketAddr), BindError> {
    let bound = TcpListener::bind(addrs).await.and_then(|listener| {
        let local = listener.local_addr()?;
        Ok((listener, local))
    });
    bound.map_err(|error| {
        let shown: Vec<_> = addrs.iter().map(ToString::to_string).collect();
        BindError::Io { at: shown.join(" or "), error }
    })
}

/// The plugin's end: listens, and yields a link for each engine that connects.
///
/// Upgrades run concurrently while [`accept`](ClientConnector::accept) is awaited, so a slow, silent or hostile client
/// does not delay the others. Each upgrade ends within
/// [`WsConfig::accept_timeout`](crate::WsConfig#structfield.accept_timeout). Rejected clients are traced as warnings, at
/// most one a second with the number suppressed, and other failures at level `debug`. Dropping the server stops
/// listening; links already accepted stay open.
#[derive(Debug)]
#[must_use = "dropping it stops listening"]
pub struct WsServer {
    listener: TcpListener,
    local: SocketAddr,
    config: Arc<WsServerConfig>,
    connections: Arc<Semaphore>,
    rejections: Arc<TraceLimit>,
    upgrades: FuturesUnordered<Upgrade>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl WsServer {
    /// Binds `addr`, for example `"127.0.0.1:0"` for a free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is not a loopback address and remote access is not allowed, the token is empty, a subprotocol is
    /// invalid, or the address cannot be resolved or bound.
    pub async fn bind(addr: impl ToSocketAddrs, config: WsServerConfig) -> Result<WsServer, BindError> {
        if config.token.as_deref().is_some_and(str::is_empty) {
            return Err(BindError::EmptyToken);
        }
        if let Some(name) = config.subprotocols.iter().find(|name| !is_token(name)) {
            return Err(BindError::Subprotocol { name: name.clone() });
        }
        let addrs: Vec<SocketAddr> = lookup_host(addr).await.map_err(BindError::Resolve)?.collect();
        let remote = addrs.iter().find(|addr| !addr.ip().to_canonical().is_loopback());
        if let (Some(&addr), false) = (remote, config.allow_remote) {
            return Err(BindError::Remote { addr });
        }
        let (listener, local) = bind_first(&addrs).await?;
        if !local.ip().to_canonical().is_loopback() && config.token.is_none() {
            tracing::warn!(%local, "the plugin is reachable from other machines and requires no token");
        }
        // A semaphore panics above its maximum.
        let connections = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
        let config = Arc::new(config);
        let (rejections, upgrades) = (Arc::default(), FuturesUnordered::new());
        Ok(WsServer { listener, local, config, connections, rejections, upgrades, pause: None })
    }

    /// The bound address, with the actual port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The `url` for the plugin's profile, for example `ws://127.0.0.1:8080`. It does not contain the token.
    ///
    /// For a server bound to the unspecified address, the URL names the loopback address.
    pub fn url(&self) -> String {
        let scheme = if self.config.tls.is_some() { "wss" } else { "ws" };
        let ip = match self.local.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        format!("{scheme}://{}", SocketAddr::new(ip, self.local.port()))
    }

    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Accepted> {
        loop {
            match self.upgrades.poll_next_unpin(cx) {
                Poll::Ready(Some(Some(accepted))) => return Poll::Ready(accepted),
                Poll::Ready(Some(None)) => continue,
                Poll::Ready(None) | Poll::Pending => {}
            }
            if self.upgrades.len() >= self.config.max_handshakes.max(1) {
                return Poll::Pending;
            }
            if let Some(pause) = &mut self.pause {
                std::task::ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            match std::task::ready!(self.listener.poll_accept(cx)) {
                Ok((stream, peer)) => {
                    let auth =
                        UpgradeAuth::new(self.config.clone(), self.connections.clone(), self.rejections.clone(), peer);
                    self.upgrades.push(Box::pin(accept_upgrade(stream, peer, auth)));
                }
                Err(error) if is_peer_error(&error) => {
                    tracing::debug!(%error, "a connection ended before it was accepted")
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; retrying in {BACKOFF:?}");
                    self.pause = Some(Box::pin(tokio::time::sleep(BACKOFF)));
                }
            }
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
    A: ToSocketAddrs,
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
    A: ToSocketAddrs,
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

fn is_peer_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn accept_upgrade(stream: TcpStream, peer: SocketAddr, auth: UpgradeAuth) -> Option<Accepted> {
    let _ = stream.set_nodelay(true);
    let config = auth.config.clone();
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
    match tokio::time::timeout(config.ws.accept_timeout, upgrading).await {
        Ok(Ok(accepted)) => {
            tracing::debug!(%peer, "an engine connected");
            Some(accepted)
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, error, "the upgrade failed");
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
    let answering = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // Closing a socket with unread data resets it, which may lose the answer.
        let mut hello = [0; 1024];
        while stream.read(&mut hello).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    match answering.await {
        Ok(()) => REASON.to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn websocket<S>(stream: S, peer: SocketAddr, mut auth: UpgradeAuth) -> Result<Accepted, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = auth.config.clone();
    let ws = accept_hdr_async_with_config(TrackedStream::new(stream), &mut auth, Some(config.ws.tungstenite()))
        .await
        .map_err(|error| error.to_string())?;
    Ok(Accepted { link: Box::new(WsLink::new(ws, &config.ws, auth.permit)), path: auth.path, peer })
}
