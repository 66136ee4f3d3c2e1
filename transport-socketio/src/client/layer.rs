//! The plugin's end on a service of one's own.

use std::convert::Infallible;
use std::future::ready;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::{ClientConnector, Link, LinkEnd, TraceLimit, async_trait};
use futures_util::future::Either;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;
use serde::Deserialize;
use socketioxide::extract::{SocketRef, TryData};
use socketioxide::handler::ConnectHandler;
use socketioxide::socket::DisconnectReason;
use socketioxide::{SocketIo, layer, service};
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tower_http::cors::{AllowOrigin, Cors, CorsLayer};
use tower_layer::Layer;
use tower_service::Service;

use super::SocketIoServerConfig;
use super::capacity::BUFFER;
use super::inbox::{Inbox, ended};
use super::link::SocketLink;
use crate::codec;

/// Engines that have connected and were not yet accepted; further ones wait.
const WAITING: usize = 16;
/// How long an engine may take from the first request to its CONNECT packet.
const CONNECT: Duration = Duration::from_secs(5);
/// socket.io's part of a frame beside the message: digits, the event's name, brackets, a namespace.
const ENVELOPE: usize = 1024;

/// The plugin's end on a service of one's own: a layer for a [`tower`](tower_layer) service such as an axum router, and
/// the connector that hands out the links of the engines that come through it.
///
/// The layer answers requests for the configuration's `path` and leaves all others to the service it is laid around.
/// That service must support HTTP upgrades, as axum's does. Who may reach it, and TLS, are its owner's matter:
/// `allow_remote` and `tls` mean nothing here.
///
/// Long polling needs the service for as long as a link lives; websockets live on by themselves. The TCP connection is
/// the service's: an engine that reads nothing, so that a write is stuck, is found silent only when that connection
/// breaks (on a [`SocketIoServer`](crate::SocketIoServer) after `ping_interval` and `ping_timeout`).
pub fn mount(config: SocketIoServerConfig) -> (SocketIoLayer, SocketIoEngines) {
    let (links, engines) = mpsc::channel(WAITING);
    let frame = config.max_message.saturating_add(ENVELOPE);
    let (layer, io) = SocketIo::builder()
        .req_path(config.path.clone())
        .ping_interval(config.ping_interval)
        .ping_timeout(config.ping_timeout)
        .connect_timeout(CONNECT)
        .max_buffer_size(BUFFER)
        .max_payload(config.max_polling_body as u64)
        .ws_max_message_size(frame)
        .ws_max_frame_size(frame)
        .build_layer();
    let (namespace, silence) = (config.namespace.clone(), config.silence());
    let refusals = Arc::<TraceLimit>::default();
    let gate = Gate {
        token: config.token.map(Arc::from),
        max_message: config.max_message,
        max_polling_body: config.max_polling_body,
        silence,
        // A semaphore panics above its maximum.
        connections: Arc::new(Semaphore::new(config.max_connections.min(Semaphore::MAX_PERMITS))),
        max_connections: config.max_connections,
        refusals: Arc::clone(&refusals),
        links,
    };
    let (checked, connected) = (gate.clone(), gate);
    let handler = async move |socket: SocketRef| connected.enter(socket).await;
    let middleware = async move |socket: SocketRef, TryData(auth): TryData<Auth>| checked.admit(&socket, auth.ok());
    io.ns(namespace, handler.with(middleware));
    // An origin is a scheme, a host and a port, and browsers write them in lower case.
    let origins = config.allow_origins.iter().map(|origin| origin.to_ascii_lowercase());
    let origins: Arc<[HeaderValue]> = origins.filter_map(|origin| HeaderValue::from_str(&origin).ok()).collect();
    (SocketIoLayer { path: config.path.into(), origins, refusals, layer }, SocketIoEngines(engines))
}

/// Who is let in, and where their links go.
#[derive(Clone)]
struct Gate {
    token: Option<Arc<str>>,
    max_message: usize,
    max_polling_body: usize,
    silence: Duration,
    connections: Arc<Semaphore>,
    max_connections: usize,
    refusals: Arc<TraceLimit>,
    links: mpsc::Sender<Box<dyn Link>>,
}

#[derive(Deserialize)]
struct Auth {
    token: Option<String>,
}

/// Made before an engine is told that it is connected, so that nothing it sends can come too early.
#[derive(Clone)]
struct Admitted {
    inbox: Inbox,
    permit: Arc<OwnedSemaphorePermit>,
}

const NO_TOKEN: &str =
    "a token is needed, the plugin's own (SocketIoServerConfig::token): send it as `io(url, { auth: { token } })` does";
const NO_ORIGIN: &str =
    "pages of this origin may not connect: the plugin's program allows them with SocketIoServerConfig::allow_origin";

impl Gate {
    fn admit(&self, socket: &SocketRef, auth: Option<Auth>) -> Result<(), String> {
        let given = auth.and_then(|auth| auth.token).unwrap_or_default();
        if let Some(token) = &self.token
            && !bool::from(token.as_bytes().ct_eq(given.as_bytes()))
        {
            return Err(self.refuse(NO_TOKEN.to_owned()));
        }
        let permit = self.connections.clone().try_acquire_owned().map_err(|_| {
            let most = self.max_connections;
            self.refuse(format!("too many connections: SocketIoServerConfig::max_connections allows {most} at once"))
        })?;
        let inbox = Inbox::default();
        socket.on(codec::EVENT, inbox.clone());
        // Events of other names are no messages, and that is to be seen.
        socket.on_fallback(inbox.clone());
        let (closing, silence) = (inbox.clone(), self.silence);
        socket.on_disconnect(move |reason: DisconnectReason| {
            closing.close(ended(reason, silence));
            ready(())
        });
        socket.extensions.insert(Admitted { inbox, permit: Arc::new(permit) });
        Ok(())
    }

    fn refuse(&self, why: String) -> String {
        if let Some(left_out) = self.refusals.pass() {
            tracing::warn!(left_out, "a client was refused: {why}");
        }
        why
    }

    async fn enter(self, socket: SocketRef) {
        let Some(Admitted { inbox, permit }) = socket.extensions.remove::<Admitted>() else { return };
        let link = Box::new(SocketLink::new(socket, inbox, self.max_message, self.max_polling_body, permit));
        tracing::debug!("an engine has connected");
        // Without a receiver nobody serves: the link is dropped, which closes it.
        let _ = self.links.send(link).await;
    }
}

/// The links of the engines that have come through a [`mount`]ed layer.
pub struct SocketIoEngines(mpsc::Receiver<Box<dyn Link>>);

/// Cancel safe. An error only if the layer and all services made with it are gone.
#[async_trait]
impl ClientConnector for SocketIoEngines {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let gone = || LinkEnd::Closed { code: None, reason: "the service is gone".to_owned() };
        self.0.recv().await.ok_or_else(gone)
    }
}

impl std::fmt::Debug for SocketIoEngines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SocketIoEngines")
    }
}

/// Made by [`mount`]: lays [`SocketIoService`] around a service.
#[derive(Clone)]
pub struct SocketIoLayer {
    path: Arc<str>,
    origins: Arc<[HeaderValue]>,
    refusals: Arc<TraceLimit>,
    layer: layer::SocketIoLayer,
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
            refusals: self.refusals.clone(),
            plugin: cors.layer(self.layer.layer(inner.clone())),
            others: self.layer.layer(inner),
        }
    }
}

/// Answers socket.io's requests, for allowed origins alone, and leaves all others to the service within.
#[derive(Clone)]
pub struct SocketIoService<S: Clone> {
    path: Arc<str>,
    origins: Arc<[HeaderValue]>,
    refusals: Arc<TraceLimit>,
    plugin: Cors<service::SocketIoService<S>>,
    others: service::SocketIoService<S>,
}

impl<S: Clone> SocketIoService<S> {
    fn is_for_plugin(&self, path: &str) -> bool {
        path.strip_prefix(&*self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn origin_is_allowed(&self, headers: &HeaderMap) -> bool {
        headers.get_all(header::ORIGIN).iter().all(|origin| self.origins.contains(origin))
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
        if !self.is_for_plugin(request.uri().path()) {
            return Either::Right(Either::Left(self.others.call(request)));
        }
        if self.origin_is_allowed(request.headers()) {
            return Either::Left(self.plugin.call(request));
        }
        if let Some(left_out) = self.refusals.pass() {
            tracing::warn!(origin = shown_origin(request.headers()), left_out, "a client was refused: {NO_ORIGIN}");
        }
        // The body is of the service's own type, so what is wrong is said in the status line.
        let mut refusal = Response::new(R::default());
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        refusal.extensions_mut().insert(ReasonPhrase::from_static(NO_ORIGIN.as_bytes()));
        Either::Right(Either::Right(ready(Ok(refusal))))
    }
}

/// The beginning of it, as it is traced.
fn shown_origin(headers: &HeaderMap) -> String {
    let values: Vec<_> = headers.get_all(header::ORIGIN).iter().take(4).map(HeaderValue::as_bytes).collect();
    String::from_utf8_lossy(&values.join(&b", "[..])).chars().take(200).collect()
}

/// What a server says of any other path.
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
