//! The plugin's end as a layer on an existing service.

use std::convert::Infallible;
use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use connector_core::{ClientConnector, Excerpt, Link, LinkEnd, TraceLimit, async_trait};
use futures_util::TryFutureExt;
use futures_util::future::{Either, MapOk};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either as EitherBody, Full};
use hyper::ext::ReasonPhrase;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::{SocketIo, layer};
use tokio::sync::mpsc;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;
use transport_server::{AllowedOrigins, BindError, header_excerpt};

use super::SocketIoServerConfig;
use super::auth::{AuthPayload, ConnectAuth, REFUSALS};
use super::capacity::BUFFER;
use super::sessions::{BodyError, EngineIo, PluginBody, Sessions, text};

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
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let (layer, engines) = transport_socketio::mount(SocketIoServerConfig::default())?;
/// tokio::spawn(connector_core::serve(engines, || Plugin::new("clock"), ClientConfig::default()));
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:4000").await?;
/// axum::serve(listener, axum::Router::new().layer(layer)).await?;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// The token is empty, an allowed origin is invalid, or another setting cannot work ([`BindError::Setting`]).
pub fn mount(config: SocketIoServerConfig) -> Result<(SocketIoLayer, SocketIoEngines), BindError> {
    let config = config.checked()?;
    if config.token.as_deref().is_some_and(str::is_empty) {
        return Err(BindError::EmptyToken);
    }
    let origins = AllowedOrigins::new(&config.allow_origins)?;
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
    let (rejections, sessions) = (Arc::<TraceLimit>::default(), Sessions::new(&config));
    let auth = ConnectAuth::new(&config, links, Arc::clone(&rejections), sessions.clone());
    let (middleware_auth, handler_auth) = (auth.clone(), auth);
    let middleware = async move |socket: SocketRef, TryData(payload): TryData<AuthPayload>| {
        middleware_auth.authorize(&socket, payload.ok())
    };
    let handler = async move |socket: SocketRef| handler_auth.accept(socket).await;
    io.ns(config.namespace, handler.with(middleware));
    let layer = SocketIoLayer { path: config.path.into(), origins, rejections, sessions, layer };
    Ok((layer, SocketIoEngines(engines)))
}

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
    sessions: Sessions,
    layer: layer::SocketIoLayer,
}

impl SocketIoLayer {
    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }
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
            sessions: self.sessions.clone(),
            plugin: cors.layer(self.layer.layer(NotFound)),
            inner,
        }
    }
}

/// Answers socket.io's requests from allowed origins, and passes all other requests to the inner service.
#[derive(Clone)]
pub struct SocketIoService<S: Clone> {
    path: Arc<str>,
    origins: AllowedOrigins,
    rejections: Arc<TraceLimit>,
    sessions: Sessions,
    plugin: EngineIo,
    inner: S,
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

/// The plugin's body, or the inner service's.
type ServiceBody<R> = EitherBody<UnsyncBoxBody<Bytes, Infallible>, R>;

impl<S, B, R> Service<Request<B>> for SocketIoService<S>
where
    S: Clone + Service<Request<B>, Response = Response<R>>,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ServiceBody<R>>;
    type Error = S::Error;
    type Future = Either<
        Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>,
        MapOk<S::Future, fn(Response<R>) -> Response<ServiceBody<R>>>,
    >;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !self.is_socket_io(request.uri().path()) {
            return Either::Right(self.inner.call(request).map_ok(|answer| answer.map(EitherBody::Right)));
        }
        let own = |answer: Response<PluginBody>| Ok(answer.map(EitherBody::Left));
        if self.origins.allow(request.headers()) {
            let request = request.map(|body| body.map_err(|error| BodyError(error.into())).boxed_unsync());
            let answering = self.sessions.clone().answer(self.plugin.clone(), request);
            return Either::Left(Box::pin(async move { own(answering.await) }));
        }
        let why = REFUSALS.origin();
        if let Some(left_out) = self.rejections.pass() {
            let origin = Excerpt::new(header_excerpt(request.headers(), header::ORIGIN));
            tracing::warn!(?origin, left_out, "a client was rejected: {why}");
        }
        // In the status line, too, for a client that shows no body.
        let reason = ReasonPhrase::try_from(why.clone());
        let mut rejection = text(StatusCode::FORBIDDEN, why);
        if let Ok(reason) = reason {
            rejection.extensions_mut().insert(reason);
        }
        Either::Left(Box::pin(async move { own(rejection) }))
    }
}

/// Answers all other paths of a standalone server with 404, and says what the server is.
#[derive(Debug, Clone)]
pub(super) struct NotFound;

impl<B> Service<Request<B>> for NotFound {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        const TEXT: &str = "this is the socket.io server of a plugin: dial it with a socket.io client and its path";
        let mut answer = Response::new(Full::from(TEXT));
        *answer.status_mut() = StatusCode::NOT_FOUND;
        answer
            .headers_mut()
            .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/plain; charset=utf-8"));
        ready(Ok(answer))
    }
}
