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
use super::auth::Admit;
use crate::link::{AnyLink, WsLink};
use crate::stream::{TrackedStream, is_token};

/// How long to leave the listener alone when it fails, for example because no file descriptor is free.
const BACKOFF: Duration = Duration::from_millis(100);

type Upgrade = Pin<Box<dyn Future<Output = Option<Accepted>> + Send>>;

/// A link, and what is known of whoever made it.
pub(crate) struct Accepted {
    pub(crate) link: Box<dyn AnyLink>,
    /// The path of the URL that was dialled, as it was sent.
    #[cfg_attr(not(feature = "stp"), allow(dead_code, reason = "only a hub looks at it"))]
    pub(crate) path: String,
    #[cfg_attr(not(feature = "stp"), allow(dead_code, reason = "only a hub looks at it"))]
    pub(crate) peer: SocketAddr,
}

/// Why a server was not bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Other machines could reach the address, and the configuration does not allow that.
    #[error(
        "{addr} can be reached from other machines: bind a loopback address such as 127.0.0.1, or allow it with \
         WsServerConfig::allow_remote and set a token"
    )]
    Remote {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The token is empty: everybody would have it.
    #[error("the token is empty: set a long random one, or none")]
    EmptyToken,
    /// A subprotocol that no client can ask for.
    #[error("{name:?} cannot be a subprotocol: it takes letters, digits and characters such as `-`, `.` and `_`")]
    Subprotocol {
        /// What is in [`WsServerConfig::subprotocols`](WsServerConfig#structfield.subprotocols).
        name: String,
    },
    /// What is to be listened at is no address, or its name cannot be resolved.
    #[error("cannot resolve the address to listen at ({0}): give a host and a port, such as 127.0.0.1:4000")]
    Resolve(#[source] io::Error),
    /// None of the addresses can be bound.
    #[error("cannot listen at {at} ({source}){}", remedy(source))]
    Io {
        /// The addresses.
        at: String,
        /// What the system said of the last of them.
        source: io::Error,
    },
}

/// What to do about an address that cannot be bound.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": a program listens there already, perhaps an earlier run of this one; stop it, or take another port (port 0 \
             takes a free one)"
        }
        io::ErrorKind::PermissionDenied => {
            ": the system keeps that port for privileged programs; take one above 1023 (port 0 takes a free one)"
        }
        io::ErrorKind::AddrNotAvailable => {
            ": this machine does not have that address; take one it has, such as 127.0.0.1"
        }
        _ => "",
    }
}

/// Listens at the first of these addresses that can be bound.
async fn listen_at(addrs: &[SocketAddr]) -> Result<(TcpListener, SocketAddr), BindError> {
    let bound = TcpListener::bind(addrs).await.and_then(|listener| {
        let local = listener.local_addr()?;
        Ok((listener, local))
    });
    bound.map_err(|source| {
        let shown: Vec<_> = addrs.iter().map(ToString::to_string).collect();
        BindError::Io { at: shown.join(" or "), source }
    })
}

/// The plugin's end: listens, and makes a link of each engine that connects.
///
/// Upgrades run side by side, so one that is slow, silent or hostile does not hold up the others; each ends within
/// [`WsConfig::accept_timeout`](crate::WsConfig#structfield.accept_timeout). They go on while
/// [`accept`](ClientConnector::accept) is awaited. Who is
/// refused is traced as a warning (one a second, with the number of those left out), other failures at the level `debug`. Dropping the server stops
/// listening; links that were handed out live on.
#[derive(Debug)]
pub struct WsServer {
    listener: TcpListener,
    local: SocketAddr,
    config: Arc<WsServerConfig>,
    connections: Arc<Semaphore>,
    refusals: Arc<TraceLimit>,
    upgrades: FuturesUnordered<Upgrade>,
    pause: Option<Pin<Box<Sleep>>>,
}

impl WsServer {
    /// Listens at `addr`, for example `"127.0.0.1:0"` for a free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is not a loopback address and that is not allowed, the token is empty, a subprotocol is none, or it
    /// cannot be bound.
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
        let (listener, local) = listen_at(&addrs).await?;
        if !local.ip().to_canonical().is_loopback() && config.token.is_none() {
            tracing::warn!(%local, "other machines can reach this plugin and it asks for no token");
        }
        // A semaphore panics above its maximum.
        let connections = Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS)));
        let config = Arc::new(config);
        let (refusals, upgrades) = (Arc::default(), FuturesUnordered::new());
        Ok(WsServer { listener, local, config, connections, refusals, upgrades, pause: None })
    }

    /// The address it listens at, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The `url` for the plugin's profile, for example `ws://127.0.0.1:8080`. Without the token.
    ///
    /// A server that listens at every address is named by the loopback address.
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
                    let admit = Admit::new(self.config.clone(), self.connections.clone(), self.refusals.clone(), peer);
                    self.upgrades.push(Box::pin(upgrade(stream, peer, admit)));
                }
                Err(error) if is_of_one_peer(&error) => tracing::debug!(%error, "a connection ended before it began"),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections; trying again in {BACKOFF:?}");
                    self.pause = Some(Box::pin(tokio::time::sleep(BACKOFF)));
                }
            }
        }
    }
}

/// Serves a plugin at `addr`, for example `"127.0.0.1:0"`, with the defaults: gives the URL for engines, and the future
/// that serves, to be spawned. `plugin` is asked for a plugin for each engine that connects.
///
/// [`Serving::until`] stops it in order; dropping the future closes every link at once. For limits, a token, TLS or other machines take
/// [`WsServer::bind`] and [`connector_core::serve`].
///
/// # Errors
/// As [`WsServer::bind`].
pub async fn serve<A, P>(addr: A, plugin: P) -> Result<(String, Serving), BindError>
where
    A: ToSocketAddrs,
    P: Fn() -> Plugin + Send + 'static,
{
    let server = WsServer::bind(addr, WsServerConfig::default()).await?;
    Ok((server.url(), connector_core::serve(server, plugin, ClientConfig::default())))
}

/// Links come as their upgrades finish. Never an error: what fails is one engine's, or passes.
#[async_trait]
impl ClientConnector for WsServer {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        Ok(poll_fn(|cx| self.poll_accept(cx)).await.link)
    }
}

fn is_of_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn upgrade(stream: TcpStream, peer: SocketAddr, admit: Admit) -> Option<Accepted> {
    let _ = stream.set_nodelay(true);
    let config = admit.config.clone();
    let made = async {
        match &config.tls {
            None if begins_tls(&stream).await => Err(refuse_tls(stream, &admit).await),
            None => websocket(stream, peer, admit).await,
            Some(tls) => {
                let stream = TlsAcceptor::from(tls.clone()).accept(stream).await.map_err(|e| format!("TLS: {e}"))?;
                websocket(stream, peer, admit).await
            }
        }
    };
    match tokio::time::timeout(config.ws.accept_timeout, made).await {
        Ok(Ok(accepted)) => {
            tracing::debug!(%peer, "an engine has connected");
            Some(accepted)
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, error, "no websocket");
            None
        }
        Err(_) => {
            tracing::debug!(%peer, "no websocket within {:?}", config.ws.accept_timeout);
            None
        }
    }
}

/// Whether the first byte is that of a TLS handshake.
async fn begins_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    // An error is left to whoever reads next.
    matches!(stream.peek(&mut first).await, Ok(1)) && first == [22]
}

/// Answers so that a TLS client sees that this is no TLS, and ends at once; what it would be told is an end of file.
async fn refuse_tls(mut stream: TcpStream, admit: &Admit) -> String {
    const WHY: &str = "this is a ws:// server and was dialled as wss://: dial ws://, or set WsServerConfig::tls";
    admit.trace_refusal(WHY, None);
    let answer = format!("HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{WHY}", WHY.len());
    let told = async {
        stream.write_all(answer.as_bytes()).await?;
        stream.shutdown().await?;
        // What is closed with something unread is reset, and the answer may be lost.
        let mut hello = [0; 1024];
        while stream.read(&mut hello).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    match told.await {
        Ok(()) => WHY.to_owned(),
        Err(error) => error.to_string(),
    }
}

async fn websocket<S>(stream: S, peer: SocketAddr, mut admit: Admit) -> Result<Accepted, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = admit.config.clone();
    let ws = accept_hdr_async_with_config(TrackedStream::new(stream), &mut admit, Some(config.ws.tungstenite()))
        .await
        .map_err(|error| error.to_string())?;
    Ok(Accepted { link: Box::new(WsLink::new(ws, &config.ws, admit.permit)), path: admit.path, peer })
}
