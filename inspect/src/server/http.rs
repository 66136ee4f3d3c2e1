//! The HTTP server.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::future::{Either, select};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use transport_server::{Admission, Listener, MAX_PENDING_BYTES, Ticket};

use super::auth::Refused;
use super::{MAX_VIEWERS, Server, page, viewer};

/// The time limit for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The time limit for everything else until a connection is a viewer's, or has ended.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum length of a viewer's message, in bytes.
const MAX_REQUEST: usize = 1 << 20;

const NO_SUCH_FILE: &str = "404: the inspector has no such file; its page is at /\n";

/// Accepts connections. Dropping the future ends those that are not viewers.
pub(super) async fn accept(mut listener: Listener, admission: Admission, server: Arc<Server>) {
    let router = Router::new()
        .route("/", get(index))
        .route("/ws", get(websocket))
        .route("/{file}", get(file))
        .fallback(async || (StatusCode::NOT_FOUND, NO_SUCH_FILE))
        .method_not_allowed_fallback(async || (StatusCode::METHOD_NOT_ALLOWED, "405: use GET\n"))
        .layer(from_fn_with_state(Arc::clone(&server), guarded))
        .with_state(Arc::clone(&server));
    loop {
        let (stream, _, ticket) = listener.enter(&admission).await;
        let serving = serve_connection(stream, router.clone(), Arc::new(ticket));
        server.tasks.spawn(server.stop.clone().run_until_cancelled_owned(serving));
    }
}

async fn serve_connection(stream: TcpStream, router: Router, ticket: Arc<Ticket>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(MAX_PENDING_BYTES as usize);
    let service = TowerToHyperService::new(router.layer(Extension(Arc::clone(&ticket))));
    let serving = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let serving = pin!(tokio::time::timeout(REQUEST_TIMEOUT, serving));
    match select(serving, pin!(ticket.displaced())).await {
        Either::Left((Ok(Ok(())), _)) => {}
        Either::Left((Ok(Err(error)), _)) => tracing::debug!(%error, "a connection to the inspector ended"),
        Either::Left((Err(_), _)) => tracing::debug!("a connection to the inspector took too long"),
        Either::Right(_) => tracing::debug!("a connection to the inspector was displaced by a newer one"),
    }
}

/// Checks the host of each request, and protects each response.
async fn guarded(State(server): State<Arc<Server>>, request: Request, next: Next) -> Response {
    let mut response = match server.checks.host(request.headers()) {
        Ok(_) => next.run(request).await,
        Err(refused) => refused.into_response(),
    };
    let protection = [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    // A browser would keep connections for files that it never asks for again.
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response.headers_mut().extend(protection.map(|(name, value)| (name, HeaderValue::from_static(value))));
    response
}

async fn index(State(server): State<Arc<Server>>, request: Request) -> Result<Response, Refused> {
    let (uri, headers) = (request.uri(), request.headers());
    let host = server.checks.host(headers)?;
    server.checks.page(uri, headers)?;
    // Some browsers do not count websockets as `self`.
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self' ws://{host} \
         wss://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    Ok(([(header::CONTENT_SECURITY_POLICY, policy)], Html(page::INDEX)).into_response())
}

async fn file(Path(name): Path<String>) -> Response {
    match page::file(&name) {
        Some((kind, contents)) => ([(header::CONTENT_TYPE, kind)], contents).into_response(),
        None => (StatusCode::NOT_FOUND, NO_SUCH_FILE).into_response(),
    }
}

async fn websocket(
    State(server): State<Arc<Server>>,
    Extension(ticket): Extension<Arc<Ticket>>,
    mut request: Request,
) -> Response {
    if let Err(refused) = server.checks.websocket(request.uri(), request.headers()) {
        return refused.into_response();
    }
    let Some(accept) = accept_key(request.headers()) else {
        let upgrade = [(header::UPGRADE, "websocket"), (header::SEC_WEBSOCKET_VERSION, "13")];
        return (StatusCode::UPGRADE_REQUIRED, upgrade, "426: connect with a websocket of version 13\n")
            .into_response();
    };
    if ticket.take_place().is_err() {
        let text =
            format!("503: too many viewers: there may be {MAX_VIEWERS} at once; close a page of the inspector\n");
        return (StatusCode::SERVICE_UNAVAILABLE, text).into_response();
    }
    ticket.admit();
    let upgrading = hyper::upgrade::on(&mut request);
    let viewer = view(upgrading, Arc::clone(&server), ticket);
    server.tasks.spawn(server.stop.clone().run_until_cancelled_owned(viewer));
    let headers = [
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// The answer to the key of a request for a websocket; `None` if it is not one.
fn accept_key(headers: &HeaderMap) -> Option<HeaderValue> {
    let is = |name, value: &str| {
        let tokens = headers.get(name).and_then(|tokens: &HeaderValue| tokens.to_str().ok()).unwrap_or_default();
        tokens.split(',').any(|token| token.trim().eq_ignore_ascii_case(value))
    };
    let is_upgrade = is(header::CONNECTION, "upgrade")
        && is(header::UPGRADE, "websocket")
        && is(header::SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| is_upgrade)?;
    derive_accept_key(key.as_bytes()).parse().ok()
}

/// Occupies one of the places for viewers for as long as it runs.
async fn view(
    upgrading: impl Future<Output = hyper::Result<hyper::upgrade::Upgraded>>,
    server: Arc<Server>,
    ticket: Arc<Ticket>,
) {
    match upgrading.await {
        Ok(stream) => {
            let config =
                WebSocketConfig::default().max_message_size(Some(MAX_REQUEST)).max_frame_size(Some(MAX_REQUEST));
            let stream = TokioIo::new(stream);
            viewer::run(WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await, server).await;
        }
        Err(error) => tracing::debug!(%error, "an upgrade to a websocket of the inspector failed"),
    }
    drop(ticket);
}
