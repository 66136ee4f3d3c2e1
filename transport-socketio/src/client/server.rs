//! The plugin's end on a server of its own.

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

/// How long a connection may take for TLS, and for the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// How long to leave the listener alone when it fails, for example because no file descriptor is free.
const BACKOFF: Duration = Duration::from_millis(100);
/// TCP connections for each engine that may connect: long polling takes two at once, and an upgrade one more.
const TCP_PER_ENGINE: usize = 3;

/// Why a server was not bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// Other machines could reach the address, and the configuration does not allow that.
    #[error(
        "{addr} can be reached from other machines: bind a loopback address such as 127.0.0.1, or allow it with \
         SocketIoServerConfig::allow_remote and set a token"
    )]
    Remote {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// The token is empty: everybody would have it.
    #[error("the token is empty: set a long random one, or none")]
    EmptyToken,
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
/// What fails before an engine is connected is traced and forgotten. Dropping the server stops listening; links over
/// websockets that were handed out live on, those over long polling end.
#[derive(Debug)]
pub struct SocketIoServer {
    engines: SocketIoEngines,
    local: SocketAddr,
    tls: bool,
    namespace: String,
    _listening: DropGuard,
}

impl SocketIoServer {
    /// Listens at `addr`, for example `"127.0.0.1:0"` for a free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is not a loopback address and that is not allowed, the token is empty, or it cannot be bound.
    pub async fn bind(addr: impl ToSocketAddrs, config: SocketIoServerConfig) -> Result<SocketIoServer, BindError> {
        if config.token.as_deref().is_some_and(str::is_empty) {
            return Err(BindError::EmptyToken);
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
        let tls = config.tls.clone();
        let (secure, namespace, silence) = (tls.is_some(), config.namespace.clone(), config.silence());
        let most = config.max_connections.saturating_mul(TCP_PER_ENGINE).min(Semaphore::MAX_PERMITS);
        let (layer, engines) = mount(config);
        let (stop, service) = (CancellationToken::new(), layer.layer(NotFound));
        tokio::spawn(stop.clone().run_until_cancelled_owned(listen(listener, tls, silence, service, most)));
        Ok(SocketIoServer { engines, local, tls: secure, namespace, _listening: stop.drop_guard() })
    }

    /// The address it listens at, with the port that was chosen.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }

    /// The `url` for the plugin's profile, for example `http://127.0.0.1:8080`: with the namespace, without path and
    /// token.
    ///
    /// A server that listens at every address is named by the loopback address.
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

/// Cancel safe. Never an error: what fails is one engine's, or passes.
#[async_trait]
impl ClientConnector for SocketIoServer {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        self.engines.accept().await
    }
}

/// Serves a plugin at `addr`, for example `"127.0.0.1:0"`, with the defaults: gives the URL for engines, and the future
/// that serves, to be spawned. `plugin` is asked for a plugin for each engine that connects.
///
/// [`Serving::until`] stops it in order; dropping the future closes every link at once. For pages in browsers, a token, TLS or other machines take
/// [`SocketIoServer::bind`] and [`connector_core::serve`].
///
/// # Errors
/// As [`SocketIoServer::bind`].
pub async fn serve<A, P>(addr: A, plugin: P) -> Result<(String, Serving), BindError>
where
    A: ToSocketAddrs,
    P: Fn() -> Plugin + Send + 'static,
{
    let server = SocketIoServer::bind(addr, SocketIoServerConfig::default()).await?;
    Ok((server.url(), connector_core::serve(server, plugin, ClientConfig::default())))
}

/// Accepts until it is dropped, and with it every connection that is not a websocket yet.
async fn listen(
    listener: TcpListener,
    tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
    silence: Duration,
    service: SocketIoService<NotFound>,
    most: usize,
) {
    let (connections, mut serving) = (Arc::new(Semaphore::new(most.max(1))), JoinSet::new());
    loop {
        // The semaphore is never closed.
        let Ok(permit) = connections.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let (tls, service) = (tls.clone(), service.clone());
                serving.spawn(async move {
                    if let Err(error) = connection(stream, tls, silence, service).await {
                        tracing::debug!(%peer, error, "a connection ended");
                    }
                    drop(permit);
                });
            }
            Err(error) if is_of_one_peer(&error) => tracing::debug!(%error, "a connection ended before it began"),
            Err(error) => {
                tracing::warn!(%error, "cannot accept connections; trying again in {BACKOFF:?}");
                tokio::time::sleep(BACKOFF).await;
            }
        }
        while serving.try_join_next().is_some() {}
    }
}

fn is_of_one_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

async fn connection(
    stream: TcpStream,
    tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
    silence: Duration,
    service: SocketIoService<NotFound>,
) -> Result<(), String> {
    let _ = stream.set_nodelay(true);
    match tls {
        None => requests(stream, silence, service).await,
        Some(tls) => {
            let accepted = tokio::time::timeout(HEAD, TlsAcceptor::from(tls).accept(stream)).await;
            let stream = accepted.map_err(|_| "no TLS in time".to_owned())?.map_err(|error| format!("TLS: {error}"))?;
            requests(stream, silence, service).await
        }
    }
}

async fn requests<S>(stream: S, silence: Duration, service: SocketIoService<NotFound>) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = Connection { hangup: CancellationToken::new(), sent: Arc::default() };
    let stream = TrackedStream::new(stream, &connection, silence);
    let answer = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        // A connection that becomes a websocket is that engine's alone.
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
    http.timer(TokioTimer::new()).header_read_timeout(HEAD);
    http.serve_connection(TokioIo::new(stream), answer).with_upgrades().await.map_err(|error| error.to_string())
}

fn is_upgrade(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}
