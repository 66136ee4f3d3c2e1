//! Engine.io sessions: a limited number without an engine, and little memory for each.

use std::collections::HashSet;
use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited};
use socketioxide::service;
use tower_http::cors::Cors;
use tower_service::Service;
use transport_server::{Admission, MAX_PENDING_BYTES, Ticket};

use super::SocketIoServerConfig;
use super::layer::NotFound;
use super::link::Connection;
use super::pace::Pace;

/// Maximum number of sessions whose engine has not performed the plugin handshake.
const MAX_PENDING: usize = 256;
/// How long a session that is being opened waits for its turn.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The body of a request to engine.io.
pub(super) type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// The body of an answer.
pub(super) type PluginBody = UnsyncBoxBody<Bytes, Infallible>;

/// A request's body could not be read, or is too long.
#[derive(Debug)]
pub(super) struct BodyError(pub(super) Box<dyn Error + Send + Sync>);

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for BodyError {}

/// The service of engine.io's requests.
pub(super) type EngineIo = Cors<service::SocketIoService<NotFound>>;

/// The address of a request's client, where it is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub(super) IpAddr);

/// What limits the sessions of one server.
#[derive(Clone)]
pub(super) struct Sessions {
    path: Arc<str>,
    /// Counts sessions from their first request. A place is an engine.
    admission: Admission,
    pace: Arc<Pace>,
    /// The sessions whose engine has performed the plugin handshake.
    admitted: Arc<Mutex<HashSet<String>>>,
    /// The time limit for a request's body.
    body_timeout: Duration,
}

impl Sessions {
    pub(super) fn new(config: &SocketIoServerConfig) -> Sessions {
        Sessions {
            path: config.path.as_str().into(),
            admission: Admission::new(MAX_PENDING, config.max_connections, config.max_connections_per_address),
            pace: Arc::default(),
            admitted: Arc::default(),
            body_timeout: config.silence(),
        }
    }

    fn admitted(&self) -> MutexGuard<'_, HashSet<String>> {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the engine of this session has performed the plugin handshake.
    pub(super) fn is_admitted(&self, sid: &str) -> bool {
        self.admitted().contains(sid)
    }

    /// The engine of this session has performed the plugin handshake.
    pub(super) fn admit(&self, sid: &str) {
        self.admitted().insert(sid.to_owned());
    }

    /// The link of this session has ended.
    pub(super) fn forget(&self, sid: &str) {
        self.admitted().remove(sid);
    }

    /// Answers a request for socket.io's path.
    pub(super) async fn answer(self, engine_io: EngineIo, mut request: Request<RequestBody>) -> Response<PluginBody> {
        match session_id(request.uri()) {
            Some(sid) => {
                if !self.is_admitted(sid) {
                    let limit = usize::try_from(MAX_PENDING_BYTES).unwrap_or(usize::MAX);
                    request = request.map(|body| Limited::new(body, limit).map_err(BodyError).boxed_unsync());
                }
                self.answer_in_time(engine_io, request).await
            }
            None if request.method() == Method::GET => self.open(engine_io, request).await,
            None => call(engine_io, request).await,
        }
    }

    /// Only a POST has a body. A GET may wait for messages.
    async fn answer_in_time(&self, engine_io: EngineIo, request: Request<RequestBody>) -> Response<PluginBody> {
        if request.method() != Method::POST {
            return call(engine_io, request).await;
        }
        match tokio::time::timeout(self.body_timeout, call(engine_io, request)).await {
            Ok(answer) => answer,
            Err(_) => {
                let mut answer = text(StatusCode::REQUEST_TIMEOUT, "the body did not arrive in time");
                answer.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
                answer
            }
        }
    }

    /// Opens a session. It holds its ticket until it ends.
    async fn open(&self, engine_io: EngineIo, mut request: Request<RequestBody>) -> Response<PluginBody> {
        // A websocket's session ends with its connection, which the server limits separately.
        let connection = request.extensions().get::<Connection>().filter(|_| is_websocket(request.uri())).cloned();
        let ready = poll_fn(|cx| Poll::Ready(self.admission.poll_ready(cx, &mut None).is_ready()));
        let in_time = tokio::time::timeout(OPEN_TIMEOUT, self.pace.turn()).await.is_ok();
        if !in_time || connection.is_none() && !ready.await {
            return text(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many sessions whose engine has not connected: try again",
            );
        }
        let peer = request.extensions().get::<ClientAddress>().map(|address| address.0);
        let ticket = Arc::new(self.admission.enter(peer));
        let displacement = ticket.displacement();
        request.extensions_mut().insert(SessionTicket(ticket));
        if let Some(Connection { hangup, .. }) = connection {
            tokio::spawn(async move {
                if displacement.await {
                    hangup.cancel();
                }
            });
            return call(engine_io, request).await;
        }
        let answer = call(engine_io.clone(), request).await;
        let (head, body) = answer.into_parts();
        let Ok(body) = body.collect().await;
        let body = body.to_bytes();
        if let Some(sid) = opened(&body) {
            let close = self.close(sid);
            tokio::spawn(async move {
                if displacement.await {
                    call(engine_io, close).await;
                }
            });
        }
        Response::from_parts(head, full(body))
    }

    /// The request by which an engine closes its session; engineioxide offers no other way to close one.
    fn close(&self, sid: &str) -> Request<RequestBody> {
        let body = Full::new(Bytes::from_static(b"1")).map_err(|never| match never {});
        let mut request = Request::new(body.boxed_unsync());
        *request.method_mut() = Method::POST;
        // A session's id consists of URL-safe characters, and the path was in a URL.
        let target = format!("{}/?EIO=4&transport=polling&sid={sid}", self.path);
        *request.uri_mut() = target.parse().unwrap_or_default();
        request
    }
}

/// In a session's request parts: the session is pending or occupies a place for as long as it exists.
#[derive(Debug, Clone)]
pub(super) struct SessionTicket(pub(super) Arc<Ticket>);

/// An engine's place, held by its link.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ticket: Arc<Ticket>,
    pub(super) sessions: Sessions,
    pub(super) sid: String,
}

impl Place {
    /// The engine has performed the plugin handshake.
    pub(super) fn admit(&self) {
        self.ticket.admit();
        self.sessions.admit(&self.sid);
    }
}

impl Drop for Place {
    /// The session itself may outlive the link for a moment.
    fn drop(&mut self) {
        self.ticket.leave();
        self.sessions.forget(&self.sid);
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("admission", &self.admission).finish_non_exhaustive()
    }
}

async fn call(mut engine_io: EngineIo, request: Request<RequestBody>) -> Response<PluginBody> {
    // It is always ready.
    let answered: Result<_, Infallible> = engine_io.call(request).await;
    match answered {
        Ok(answer) => answer.map(BodyExt::boxed_unsync),
        Err(never) => match never {},
    }
}

/// The session that a request names, as engineioxide reads it.
pub(super) fn session_id(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|part| part.strip_prefix("sid="))
}

/// Whether a request asks for a websocket, as engineioxide reads it.
fn is_websocket(uri: &Uri) -> bool {
    let transport = uri.query().and_then(|query| query.split('&').find(|part| part.starts_with("transport=")));
    transport.and_then(|part| part.split('=').nth(1)) == Some("websocket")
}

/// The id in the packet that opens a session over long polling.
fn opened(packet: &[u8]) -> Option<&str> {
    let (_, rest) = std::str::from_utf8(packet).ok()?.split_once(r#""sid":""#)?;
    rest.split_once('"').map(|(sid, _)| sid)
}

pub(super) fn full(body: impl Into<Bytes>) -> PluginBody {
    Full::new(body.into()).boxed_unsync()
}

/// An answer that people can read.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<PluginBody> {
    let mut answer = Response::new(full(text));
    *answer.status_mut() = status;
    let plain = header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, plain);
    answer
}

#[cfg(test)]
mod tests {
    use transport_server::NoPlace;

    use super::*;

    #[tokio::test]
    async fn one_address_on_another_machine_has_a_limit() {
        let sessions = Sessions::new(&SocketIoServerConfig::default().max_connections_per_address(Some(2)));
        let place = |peer: [u8; 4]| {
            let ticket = sessions.admission.enter(Some(peer.into()));
            ticket.take_place().map(|()| ticket)
        };
        let _engines = [place([192, 0, 2, 1]).unwrap(), place([192, 0, 2, 1]).unwrap()];
        assert_eq!(place([192, 0, 2, 1]).unwrap_err(), NoPlace::FullForAddress(2));
        place([192, 0, 2, 2]).unwrap();
        let _local: Vec<_> = (0..9).map(|_| place([127, 0, 0, 1]).unwrap()).collect();
    }

    #[test]
    fn a_session_is_named_as_engineioxide_reads_it() {
        let sid = |uri: &'static str| session_id(&Uri::from_static(uri)).map(str::to_owned);
        assert_eq!(sid("/socket.io/?EIO=4&sid=a&sid=b").as_deref(), Some("a"));
        assert_eq!(sid("/socket.io/?EIO=4&xsid=a"), None);
        assert_eq!(sid("/socket.io/"), None);
        assert_eq!(opened(br#"0{"sid":"x-_1","upgrades":[]}"#), Some("x-_1"));
    }
}
