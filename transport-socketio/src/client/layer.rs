//! The plugin's end as a layer on an existing service.

use std::convert::Infallible;
use std::fmt;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::{ClientConnector, Excerpt, Link, LinkEnd, TraceLimit, async_trait};
use futures_util::future::Either;
use http::{Method, Request, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::{SocketIo, layer, service};
use tokio::sync::mpsc;
use tower_http::cors::{AllowOrigin, Cors, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;
use transport_server::{AllowedOrigins, header_excerpt};

use super::SocketIoServerConfig;
use super::auth::{AuthPayload, ConnectAuth};
use super::capacity::BUFFER;

/// Maximum number of connected engines that are not accepted yet. Further engines wait.
const MAX_UNACCEPTED: usize = 16;
/// The time limit from an engine's first request to its CONNECT packet.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Space for socket.io's part of a frame: digits, the event's name, brackets, the namespace.
const ENVELOPE: usize = 1024;

/// Adds the plugin's end to an existing service. Returns a layer for a [`tower`](tower_layer) service such as an axum
/// router, and a connector that yields the links of the engines that connect through it.
///
/// The layer answers requests for the configuration's `path` and passes all others to the inner service. The server must
/// support HTTP upgrades, as axum's does. It also controls network access and TLS, so `allow_remote` and `tls` are
/// ignored.
///
/// Long-polling links need the service for as long as they are open; websockets do not. The server owns the TCP
/// connection, so an engine that stops reading, which stalls a write, is detected only when that connection fails (on a
/// [`SocketIoServer`](crate::SocketIoServer), after `ping_interval` and `ping_timeout`).
///
/// ```no_run
/// use connector_core::{ClientConfig, Plugin};
/// use transport_socketio::SocketIoServerConfig;
///
/// # async fn example() -> std::io::Result<()> {
/// let (layer, engines) = transport_socketio::mount(SocketIoServerConfig::default());
/// tokio::spawn(connector_core::serve(engines, || Plugin::new("clock"), ClientConfig::default()));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
/// axum::serve(listener, axum::Router::new().layer(layer)).await
/// # }
/// ```
pub fn mount(config: SocketIoServerConfig) -> (SocketIoLayer, SocketIoEngines) {
    let config = config.normalized();
    let (links, engines) = mpsc::channel(MAX_UNACCEPTED);
    let frame = config.max_message.saturating_add(ENVELOPE);
    let (layer, io) = SocketIo::builder()
        .req_path(config.path.clone())
        .ping_interval(config.ping_interval)
        .ping_timeout(config.ping_timeout)
        .connect_timeout(CONNECT_TIMEOUT)
        .max_buffer_size(BUFFER)
        .max_payload(config.max_polling_body as u64)
        .ws_max_message_size(frame)
        .ws_max_frame_size(frame)
        .build_layer();
    let rejections = Arc::<TraceLimit>::default();
    let auth = ConnectAuth::new(&config, links, Arc::clone(&rejections));
    let (middleware_auth, handler_auth) = (auth.clone(), auth);
    let middleware = async move |socket: SocketRef, TryData(payload): TryData<AuthPayload>| {
        middleware_auth.authorize(&socket, payload.ok())
    };
    let handler = async move |socket: SocketRef| handler_auth.accept(socket).await;
    io.ns(config.namespace, handler.with(middleware));
    let origins = AllowedOrigins::new(&config.allow_origins);
    (SocketIoLayer { path: config.path.into(), origins, rejections, layer }, SocketIoEngines(engines))
}

const BAD_ORIGIN: &str =
    "this origin is not allowed to connect: allow it with SocketIoServerConfig::allow_origin in the plugin's program";

/// Yields the links of engines that connect through a [`mount`]ed layer.
#[must_use = "engines connect only while links are accepted"]
pub struct SocketIoEngines(mpsc::Receiver<Box<dyn Link>>);

/// Fails only when the layer and all its services are dropped. Cancel safe.
#[async_trait]
impl ClientConnector for SocketIoEngines {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let dropped = || LinkEnd::Closed { code: None, reason: "the service was dropped".to_owned() };
        self.0.recv().await.ok_or_else(dropped)
    }
}

impl fmt::Debug for SocketIoEngines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SocketIoEngines")
    }
}

/// Wraps a service in a [`SocketIoService`]. Created by [`mount`].
#[derive(Clone)]
pub struct SocketIoLayer {
    path: Arc<str>,
    origins: AllowedOrigins,
    rejections: Arc<TraceLimit>,
    layer: layer::SocketIoLayer,
}

impl fmt::Debug for SocketIoLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoLayer").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<S: Clone> Layer<S> for SocketIoLayer {
    type Service = SocketIoService<S>;

    fn layer(&self, inner: S) -> SocketIoService<S> {
        let cors = CorsLayer::new()
            .allow_origin(AllowOrigin::list(self.origins.iter().cloned()))
            .allow_methods([Method::GET, Method::POST])
            .allow_headers([header::CONTENT_TYPE]);
        SocketIoService {
            path: self.path.clone(),
            origins: self.origins.clone(),
            rejections: self.rejections.clone(),
            plugin: cors.layer(self.layer.layer(inner.clone())),
            others: self.layer.layer(inner),
        }
    }
}

/// Answers socket.io's requests from allowed origins, and passes all other requests to the inner service.
#[derive(Clone)]
pub struct SocketIoService<S: Clone> {
    path: Arc<str>,
    origins: AllowedOrigins,
    rejections: Arc<TraceLimit>,
    plugin: Cors<service::SocketIoService<S>>,
    others: service::SocketIoService<S>,
}

impl<S: Clone> fmt::Debug for SocketIoService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SocketIoService").field("path", &self.path).finish_non_exhaustive()
    }
}

impl<S: Clone> SocketIoService<S> {
    fn is_socket_io(&self, path: &str) -> bool {
        path.strip_prefix(&*self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl<S, B, R> Service<Request<B>> for SocketIoService<S>
where
    S: Clone,
    service::SocketIoService<S>: Service<Request<B>, Response = Response<R>>,
    R: Default,
{
    type Response = Response<R>;
    type Error = <service::SocketIoService<S> as Service<Request<B>>>::Error;
    type Future = Either<
        <Cors<service::SocketIoService<S>> as Service<Request<B>>>::Future,
        Either<
            <service::SocketIoService<S> as Service<Request<B>>>::Future,
            std::future::Ready<Result<Response<R>, Self::Error>>,
        >,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        std::task::ready!(Service::<Request<B>>::poll_ready(&mut self.plugin, cx))?;
        Service::<Request<B>>::poll_ready(&mut self.others, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !self.is_socket_io(request.uri().path()) {
            return Either::Right(Either::Left(self.others.call(request)));
        }
        if self.origins.allow(request.headers()) {
            return Either::Left(self.plugin.call(request));
        }
        if let Some(left_out) = self.rejections.pass() {
            let origin = Excerpt::new(header_excerpt(request.headers(), header::ORIGIN));
            tracing::warn!(?origin, left_out, "a client was rejected: {BAD_ORIGIN}");
        }
        // The inner service defines the body's type, so the status line carries the reason.
        let mut rejection = Response::new(R::default());
        *rejection.status_mut() = StatusCode::FORBIDDEN;
        rejection.extensions_mut().insert(ReasonPhrase::from_static(BAD_ORIGIN.as_bytes()));
        Either::Right(Either::Right(ready(Ok(rejection))))
    }
}

/// Answers all other paths of a standalone server with 404.
#[derive(Debug, Clone)]
pub(super) struct NotFound;

impl<B> Service<Request<B>> for NotFound {
    type Response = Response<http_body_util::Empty<bytes::Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let mut answer = Response::default();
        *answer.status_mut() = StatusCode::NOT_FOUND;
        ready(Ok(answer))
    }
}
