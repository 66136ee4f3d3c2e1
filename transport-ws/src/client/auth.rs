//! Who is let in: origin, token, and how many.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use connector_core::TraceLimit;
use subtle::ConstantTimeEq;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use url::form_urlencoded;

use super::WsServerConfig;

/// Judges one upgrade; afterwards holds the permit of the one that was let in.
pub(super) struct Admit {
    pub(super) config: Arc<WsServerConfig>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
    /// The path asked for by the one that was let in.
    pub(super) path: String,
    connections: Arc<Semaphore>,
    refusals: Arc<TraceLimit>,
    peer: SocketAddr,
}

impl Admit {
    pub(super) fn new(
        config: Arc<WsServerConfig>,
        connections: Arc<Semaphore>,
        refusals: Arc<TraceLimit>,
        peer: SocketAddr,
    ) -> Admit {
        Admit { config, permit: None, path: String::new(), connections, refusals, peer }
    }

    /// `given` is what the client sent and was refused for, if that may be shown.
    pub(super) fn trace_refusal(&self, why: &str, given: Option<&str>) {
        if let Some(left_out) = self.refusals.pass() {
            tracing::warn!(peer = %self.peer, given, left_out, "a client was refused: {why}");
        }
    }

    fn refuse(&self, status: StatusCode, why: impl Into<Cow<'static, str>>, given: Option<&str>) -> ErrorResponse {
        let why = why.into();
        self.trace_refusal(&why, given);
        refusal(status, why.into_owned())
    }

    fn origin_is_allowed(&self, request: &Request) -> bool {
        // An origin is a scheme, a host and a port: case does not matter in any of them.
        let allowed = |origin: &HeaderValue| {
            self.config.allow_origins.iter().any(|a| a.as_bytes().eq_ignore_ascii_case(origin.as_bytes()))
        };
        request.headers().get_all(header::ORIGIN).iter().all(allowed)
    }

    /// The subprotocol that is spoken, of those asked for.
    fn subprotocol(&self, request: &Request) -> Result<Option<HeaderValue>, NoSubprotocol> {
        let mut asked = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().peekable();
        if asked.peek().is_none() {
            return Ok(None);
        }
        let mut names = asked.flat_map(|names| names.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let spoken = names.find(|name| self.config.subprotocols.iter().any(|spoken| spoken.as_bytes() == *name));
        spoken.and_then(|name| HeaderValue::from_bytes(name).ok()).map(Some).ok_or(NoSubprotocol)
    }

    fn has_token(&self, request: &Request) -> bool {
        let Some(token) = &self.config.token else { return true };
        let is_token = |given: &[u8]| bool::from(given.ct_eq(token.as_bytes()));
        let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        let query = request.uri().query().unwrap_or_default();
        bearer.is_some_and(is_token)
            || form_urlencoded::parse(query.as_bytes()).any(|(key, value)| key == "token" && is_token(value.as_bytes()))
    }
}

/// None of those asked for is spoken here.
#[derive(Debug)]
struct NoSubprotocol;

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

impl Callback for &mut Admit {
    // The type is tungstenite's.
    #[allow(clippy::result_large_err)]
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        if !self.origin_is_allowed(request) {
            return Err(self.refuse(StatusCode::FORBIDDEN, NO_ORIGIN, Some(&shown(request, header::ORIGIN))));
        }
        if !self.has_token(request) {
            return Err(self.refuse(StatusCode::UNAUTHORIZED, NO_TOKEN, None));
        }
        let Ok(subprotocol) = self.subprotocol(request) else {
            let asked = shown(request, header::SEC_WEBSOCKET_PROTOCOL);
            return Err(self.refuse(StatusCode::BAD_REQUEST, NO_SUBPROTOCOL, Some(&asked)));
        };
        if let Some(name) = subprotocol {
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, name);
        }
        match self.connections.clone().try_acquire_owned() {
            Ok(permit) => {
                self.permit = Some(permit);
                self.path = request.uri().path().to_owned();
                Ok(response)
            }
            Err(_) => {
                let most = self.config.max_connections;
                let why = format!("too many connections: WsServerConfig::max_connections allows {most} at once");
                Err(self.refuse(StatusCode::SERVICE_UNAVAILABLE, why, None))
            }
        }
    }
}

const NO_ORIGIN: &str =
    "pages of this origin may not connect: the plugin's program allows them with WsServerConfig::allow_origin";
const NO_TOKEN: &str = "the plugin's token is needed (WsServerConfig::token): send it as `Authorization: Bearer <token>`, as \
     WsConnectorConfig::token does, or as `?token=<token>` in the url";
const NO_SUBPROTOCOL: &str =
    "no subprotocol asked for is spoken here: ask for none, or name it with WsServerConfig::subprotocol";

/// A header as it is traced: the beginning of its values.
fn shown(request: &Request, name: header::HeaderName) -> String {
    let values: Vec<_> = request.headers().get_all(name).iter().take(4).map(|value| value.as_bytes()).collect();
    String::from_utf8_lossy(&values.join(&b", "[..])).chars().take(200).collect()
}

fn refusal(status: StatusCode, text: String) -> ErrorResponse {
    let length = text.len();
    let mut response = ErrorResponse::new(Some(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(config: WsServerConfig) -> Admit {
        Admit::new(Arc::new(config), Arc::new(Semaphore::new(1)), Arc::default(), ([127, 0, 0, 1], 9).into())
    }

    fn request(uri: &str, headers: &[(&'static str, &str)]) -> Request {
        let mut request = Request::new(());
        *request.uri_mut() = uri.parse().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        request
    }

    #[test]
    fn tokens() {
        let admit = admit(WsServerConfig::default().token("s3cret & more"));
        let has = |uri, headers: &[(&'static str, &str)]| admit.has_token(&request(uri, headers));
        assert!(has("/", &[("authorization", "Bearer s3cret & more")]));
        assert!(has("/", &[("authorization", "bearer  s3cret & more ")]));
        assert!(has("/x?a=b&token=s3cret%20%26%20more", &[]));
        assert!(has("/?token=wrong", &[("authorization", "Bearer s3cret & more")]));
        for (uri, value) in [("/", "Bearer s3cret"), ("/", "Basic s3cret & more"), ("/", "bear"), ("/?token=", "")] {
            assert!(!has(uri, &[("authorization", value)]), "{uri} {value}");
        }
    }

    #[test]
    fn subprotocols() {
        let admit = admit(WsServerConfig::default().subprotocol("b").subprotocol("a"));
        let spoken = |headers: &[&str]| {
            let headers: Vec<_> = headers.iter().map(|value| ("sec-websocket-protocol", *value)).collect();
            admit.subprotocol(&request("/", &headers)).map(|name| name.map(|name| name.to_str().unwrap().to_owned()))
        };
        assert_eq!(spoken(&[]).unwrap(), None);
        // The client's order counts, over all its headers.
        for (asked, first) in [(&["a"][..], "a"), (&["x, a ,b"], "a"), (&["x", "y,b", "a"], "b")] {
            assert_eq!(spoken(asked).unwrap().as_deref(), Some(first), "{asked:?}");
        }
        for none in ["A", "", ",", "ab", "a b", "\u{e4}"] {
            spoken(&[none]).unwrap_err();
        }
    }

    #[test]
    fn origins() {
        let admit = admit(WsServerConfig::default().allow_origin("https://ide.example"));
        let allowed = |headers: &[(&'static str, &str)]| admit.origin_is_allowed(&request("/", headers));
        assert!(allowed(&[]));
        assert!(allowed(&[("origin", "https://IDE.example")]));
        for origin in ["https://evil.example", "https://ide.example.evil.example", "null", "", "http://ide.example"] {
            assert!(!allowed(&[("origin", origin)]), "{origin}");
            assert!(!allowed(&[("origin", "https://ide.example"), ("origin", origin)]), "{origin}");
        }
    }
}
