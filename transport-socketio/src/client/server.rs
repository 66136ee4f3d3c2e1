//! The plugin's end as a standalone server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use connector_core::{ClientConfig, ClientConnector, Link, LinkEnd, Plugin, Serving, async_trait};
use http::{HeaderMap, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, ToSocketAddrs, lookup_host};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_layer::Layer;
use tower_service::Service;

use super::connection::TrackedStream;
use super::layer::NotFound;
use super::link::Connection;
use super::{SocketIoEngines, SocketIoServerConfig, SocketIoService, mount};
use crate::tls::ServerConfig;

/// The time limit for TLS, and for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The pause after the listener fails, for example because no file descriptor is free.
const BACKOFF: Duration = Duration::from_millis(100);
/// TCP connections per engine: long polling uses up to two at once, and an upgrade one more.
const TCP_PER_ENGINE: usize = 3;

/// Why a server could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is reachable from other machines, and the configuration does not allow that.
    #[error(
        "{addr} can be reached from other machines: bind a loopback address such as 127.0.0.1, or allow it with \
         SocketIoServerConfig::allow_remote and set a token"
    )]
    Remote {
        /// The requested address.
        addr: SocketAddr,
    },
    /// The token is empty, so every client would have it.
    #[error("the token is empty: set a long random one, or none")]
    EmptyToken,
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
/// Failures before an engine is connected are traced. Dropping the server stops listening; accepted links over
/// websockets stay open, and those over long polling end.
#[derive(Debug)]
#[must_use = "dropping it stops listening"]
pub struct SocketIoServer {
    engines: SocketIoEngines,
    local: SocketAddr,
    tls: bool,
    namespace: String,
    _listening: DropGuard,
}

impl SocketIoServer {
    /// Binds `addr`, for example `"127.0.0.1:0"` for a free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is not a loopback address and remote access is not allowed, the token is empty, or the address cannot
    /// be resolved or bound.
    pub async fn bind(addr: impl ToSocketAddrs, config: SocketIoServerConfig) -> Result<SocketIoServer, BindError> {
        let config = config.normalized();
        if config.token.as_deref().is_some_and(str::is_empty) {
            return Err(BindError::EmptyToken);
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
        let tls = config.tls.clone();
        let (secure, namespace, silence) = (tls.is_some(), config.namespace.clone(), config.silence());
        let max_tcp = config.max_connections.saturating_mul(TCP_PER_ENGINE).min(Semaphore::MAX_PERMITS);
        let (layer, engines) = mount(config);
        let (stop, service) = (CancellationToken::new(), layer.layer(NotFound));
        tokio::spawn(
            stop.clone().run_until_cancelled_owned(accept_connections(listener, tls, silence, service, max_tcp)),
        );
        Ok(SocketIoServer { engines, local, tls: secure, namespace, _listening: stop.drop_guard() })
    }

    /// The bound address, with the actual port.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The `url` for the plugin's profile, for example `http://127.0.0.1:8080`. It contains the namespace, but not the
    /// request path or the token.
    ///
    /// For a server bound to the unspecified address, the URL names the loopback address.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        let ip = match self.local.ip() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
            ip => ip,
        };
        let namespace = self.namespace.trim_end_matches('/');
        format!("{scheme}://{}{namespace}", SocketAddr::new(ip, self.local.port()))
    }
}

/// Never fails: an error concerns one client or is temporary. Cancel safe.
#[async_trait]
impl ClientConnector for SocketIoServer {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        self.engines.accept().await
    }
}

/// Serves a plugin on `addr`, for example `"127.0.0.1:0"`, with the default configuration. Returns the URL for engines
/// and the serving future, which must be spawned. `plugin` creates the plugin for each engine that connects.
///
/// [`Serving::until`] stops it gracefully; dropping the future closes every link immediately. For a token, TLS, web
/// pages, remote access or other limits, use [`serve_with`].
///
/// # Errors
/// As [`SocketIoServer::bind`].
pub async fn serve<A, P>(addr: A, plugin: P) -> Result<(String, Serving), BindError>
where
    A: ToSocketAddrs,
    P: Fn() -> Plugin + Send + 'static,
{
    serve_with(addr, plugin, SocketIoServerConfig::default()).await
}

/// As [`serve`], with a configuration. For another [`ClientConfig`], use [`SocketIoServer::bind`] and [`connector_core::serve`].
///
/// # Errors
/// As [`SocketIoServer::bind`].
pub async fn serve_with<A, P>(addr: A, plugin: P, config: SocketIoServerConfig) -> Result<(String, Serving), BindError>
where
    A: ToSocketAddrs,
    P: Fn() -> Plugin + Send + 'static,
{
    let server = SocketIoServer::bind(addr, config).await?;
    Ok((server.url(), connector_core::serve(server, plugin, ClientConfig::default())))
}

/// Accepts connections. Dropping the future also closes connections that have not become websockets.
async fn accept_connections(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    silence: Duration,
    service: SocketIoService<NotFound>,
    max_tcp: usize,
) {
    let (connections, mut serving) = (Arc::new(Semaphore::new(max_tcp.max(1))), JoinSet::new());
    loop {
        // The semaphore is never closed.
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (tls, service) = (tls.clone(), service.clone());
                serving.spawn(async move {
                    if let Err(error) = serve_connection(stream, tls, silence, service).await {
                        tracing::debug!(%peer, error, "a connection ended");
                    }
                    drop(permit);
                });
            }
            Err(error) if is_peer_error(&error) => tracing::debug!(%error, "a connection ended before it was accepted"),
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; retrying in {BACKOFF:?}");
                tokio::time::sleep(BACKOFF).await;
            }
        }
        while serving.try_join_next().is_some() {}
    }
}

fn is_peer_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn serve_connection(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    silence: Duration,
    service: SocketIoService<NotFound>,
) -> Result<(), String> {
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve_requests(stream, silence, service).await,
        Some(tls) => {
            let accepted = tokio::time::timeout(HEAD_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await;
            let stream = accepted
                .map_err(|_| "the TLS handshake timed out".to_owned())?
                .map_err(|error| format!("TLS: {error}"))?;
            serve_requests(stream, silence, service).await
        }
    }
}

async fn serve_requests<S>(stream: S, silence: Duration, service: SocketIoService<NotFound>) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Connection { hangup: CancellationToken::new(), sent: Arc::default() };
    let stream = TrackedStream::new(stream, &connection, silence);
    let answer = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        // A connection that becomes a websocket belongs to one engine.
        if is_upgrade(request.headers()) {
            request.extensions_mut().insert(connection.clone());
        }
        let mut service = service.clone();
        async move {
            std::future::poll_fn(|cx| Service::<Request<Incoming>>::poll_ready(&mut service, cx)).await?;
            service.call(request).await
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    http.serve_connection(TokioIo::new(stream), answer).with_upgrades().await.map_err(|error| error.to_string())
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}
