//! The plugin's end as a standalone server.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use connector_core::{ClientConfig, ClientConnector, Link, LinkEnd, Plugin, Serving, async_trait};
use futures_util::future::{Either, select};
use http::{HeaderMap, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, ToSocketAddrs};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tower_layer::Layer;
use tower_service::Service;
use transport_server::{Admission, BindError, Listener};

use super::connection::TrackedStream;
use super::layer::NotFound;
use super::link::Connection;
use super::sessions::{ClientAddress, Sessions, session_id};
use super::{SocketIoEngines, SocketIoServerConfig, SocketIoService, mount};
use crate::tls::ServerConfig;

/// The time limit for TLS, and for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// TCP connections per engine: long polling uses up to two at once, and an upgrade one more.
const TCP_PER_ENGINE: usize = 3;
/// At least this many TCP connections may be pending, so that few places do not make them displace each other.
const MIN_PENDING: usize = 64;

/// The plugin's end: listens, and yields a link for each engine that connects.
///
/// Failures before an engine is connected are traced. Dropping the server stops listening; accepted links over
/// websockets stay open, and those over long polling end.
#[derive(Debug)]
#[must_use = "dropping it stops listening"]
pub struct SocketIoServer {
    engines: SocketIoEngines,
    local: SocketAddr,
    url: String,
    _listening: DropGuard,
}

impl SocketIoServer {
    /// Binds `addr`, for example `"127.0.0.1:0"` for a free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The address is not a loopback address and remote access is not allowed, the token is empty, an allowed origin is
    /// invalid, another setting cannot work ([`BindError::Setting`]), or the address cannot be resolved or bound.
    pub async fn bind(
        addr: impl ToSocketAddrs + fmt::Debug,
        config: SocketIoServerConfig,
    ) -> Result<SocketIoServer, BindError> {
        let config = config.checked()?;
        let (layer, engines) = mount(config.clone())?;
        let listener = Listener::bind(addr, config.allow_remote, config.token.as_deref()).await?;
        let (tls, silence) = (config.tls.clone(), config.silence());
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{}{}", listener.url(scheme), config.namespace.trim_end_matches('/'));
        let local = listener.local_addr();
        let tcp = |engines: usize| engines.saturating_mul(TCP_PER_ENGINE);
        let (max, per_address) = (tcp(config.max_connections), config.max_connections_per_address.map(tcp));
        let admission = Admission::new(max.max(MIN_PENDING), max, per_address);
        let sessions = layer.sessions().clone();
        let (stop, service) = (CancellationToken::new(), layer.layer(NotFound));
        tokio::spawn(
            stop.clone()
                .run_until_cancelled_owned(accept_connections(listener, tls, silence, service, sessions, admission)),
        );
        Ok(SocketIoServer { engines, local, url, _listening: stop.drop_guard() })
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
        self.url.clone()
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
    A: ToSocketAddrs + fmt::Debug,
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
    A: ToSocketAddrs + fmt::Debug,
    P: Fn() -> Plugin + Send + 'static,
{
    let server = SocketIoServer::bind(addr, config).await?;
    Ok((server.url(), connector_core::serve(server, plugin, ClientConfig::default())))
}

/// Accepts connections. Dropping the future also closes connections that have not become websockets.
async fn accept_connections(
    mut listener: Listener,
    tls: Option<Arc<ServerConfig>>,
    silence: Duration,
    service: SocketIoService<NotFound>,
    sessions: Sessions,
    admission: Admission,
) {
    let mut serving = JoinSet::new();
    loop {
        let (stream, peer, ticket) = listener.enter(&admission).await;
        let (tls, service, sessions) = (tls.clone(), service.clone(), sessions.clone());
        serving.spawn(async move {
            let ticket = Arc::new(ticket);
            let (hangup, sent, sid) = (CancellationToken::new(), Arc::default(), Arc::default());
            let connection = Connection { hangup, sent, ticket: Arc::clone(&ticket), sid };
            let serving = serve_connection(stream, tls, silence, service, connection, sessions, peer.ip());
            // After an upgrade the stream itself notices that it is displaced.
            let ended = match select(pin!(serving), pin!(ticket.displaced())).await {
                Either::Left((ended, _)) => ended,
                Either::Right(_) => Err("displaced by a newer connection".to_owned()),
            };
            if let Err(error) = ended {
                tracing::debug!(%peer, error, "a connection ended");
            }
        });
        while serving.try_join_next().is_some() {}
    }
}

async fn serve_connection(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    silence: Duration,
    service: SocketIoService<NotFound>,
    connection: Connection,
    sessions: Sessions,
    peer: IpAddr,
) -> Result<(), String> {
    match tls {
        None => serve_requests(stream, silence, service, connection, sessions, peer).await,
        Some(tls) => {
            let accepted = tokio::time::timeout(HEAD_TIMEOUT, TlsAcceptor::from(tls).accept(stream)).await;
            let stream = accepted
                .map_err(|_| "the TLS handshake timed out".to_owned())?
                .map_err(|error| format!("TLS: {error}"))?;
            serve_requests(stream, silence, service, connection, sessions, peer).await
        }
    }
}

async fn serve_requests<S>(
    stream: S,
    silence: Duration,
    service: SocketIoService<NotFound>,
    connection: Connection,
    sessions: Sessions,
    peer: IpAddr,
) -> Result<(), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let stream = TrackedStream::new(stream, &connection, silence, sessions.clone());
    let answer = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ClientAddress(peer));
        connection.names_session(session_id(request.uri()), &sessions);
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
