//! Authorizes upgrades: origin, token, subprotocol and the number of links.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;

use connector_core::{Excerpt, TraceLimit};
use tokio_tungstenite::tungstenite::handshake::server::{Callback, ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode, header};
use transport_server::{Admission, AllowedOrigins, BindError, RefusalTexts, Ticket, header_excerpt, token_matches};
use url::form_urlencoded;

use super::WsServerConfig;

/// What every upgrade is checked against.
#[derive(Debug)]
pub(super) struct Checks {
    pub(super) config: WsServerConfig,
    origins: AllowedOrigins,
    pub(super) admission: Admission,
    rejections: TraceLimit,
}

impl Checks {
    pub(super) fn new(config: WsServerConfig) -> Result<Checks, BindError> {
        config.check()?;
        let origins = AllowedOrigins::new(&config.allow_origins)?;
        let (places, per_address) = (config.max_connections, config.max_connections_per_address);
        let admission = Admission::new(config.max_handshakes, places, per_address);
        Ok(Checks { config, origins, admission, rejections: TraceLimit::default() })
    }
}

/// Authorizes one upgrade, which then occupies one of the places.
pub(super) struct UpgradeAuth {
    pub(super) checks: Arc<Checks>,
    pub(super) ticket: Arc<Ticket>,
    /// The path of the accepted request.
    pub(super) path: String,
    peer: SocketAddr,
}

impl UpgradeAuth {
    pub(super) fn new(checks: Arc<Checks>, peer: SocketAddr, ticket: Ticket) -> UpgradeAuth {
        UpgradeAuth { checks, ticket: Arc::new(ticket), path: String::new(), peer }
    }

    /// `given` is the offending value of the request, unless it is secret.
    pub(super) fn trace_rejection(&self, why: &str, given: Option<&str>) {
        if let Some(left_out) = self.checks.rejections.pass() {
            let given = given.map(Excerpt::new);
            tracing::warn!(peer = %self.peer, given = given.map(tracing::field::debug), left_out, "a client was rejected: {why}");
        }
    }

    fn reject(&self, status: StatusCode, why: impl Into<Cow<'static, str>>, given: Option<&str>) -> ErrorResponse {
        let why = why.into();
        self.trace_rejection(&why, given);
        rejection(status, why.into_owned())
    }

    /// The first requested subprotocol that this server supports.
    fn subprotocol(&self, request: &Request) -> Result<Option<HeaderValue>, UnsupportedSubprotocol> {
        let mut requested = request.headers().get_all(header::SEC_WEBSOCKET_PROTOCOL).iter().peekable();
        if requested.peek().is_none() {
            return Ok(None);
        }
        let mut names =
            requested.flat_map(|names| names.as_bytes().split(|byte| *byte == b',')).map(<[u8]>::trim_ascii);
        let selected = names.find(|name| self.checks.config.subprotocols.iter().any(|known| known.as_bytes() == *name));
        selected.and_then(|name| HeaderValue::from_bytes(name).ok()).map(Some).ok_or(UnsupportedSubprotocol)
    }

    fn check_token(&self, request: &Request) -> Result<(), BadToken> {
        let Some(token) = &self.checks.config.token else { return Ok(()) };
        let matches = |given: &[u8]| token_matches(token, given);
        let bearer = request.headers().get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()));
        let query = request.uri().query().unwrap_or_default();
        let mut in_query = form_urlencoded::parse(query.as_bytes())
            .filter(|(key, token)| key == "token" && !token.is_empty())
            .peekable();
        let sent = bearer.is_some() || in_query.peek().is_some();
        match bearer.is_some_and(matches) || in_query.any(|(_, value)| matches(value.as_bytes())) {
            true => Ok(()),
            false => Err(BadToken { sent }),
        }
    }
}

/// The plugin's token is missing from a request, or another one was sent.
#[derive(Debug)]
struct BadToken {
    sent: bool,
}

/// The client requested subprotocols, and none of them is supported.
#[derive(Debug)]
struct UnsupportedSubprotocol;

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

impl Callback for &mut UpgradeAuth {
    #[allow(clippy::result_large_err, reason = "tungstenite defines the type")]
    fn on_request(self, request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
        if !self.checks.origins.allow(request.headers()) {
            return Err(self.reject(
                StatusCode::FORBIDDEN,
                REFUSALS.origin(),
                Some(&header_excerpt(request.headers(), header::ORIGIN)),
            ));
        }
        if let Err(BadToken { sent }) = self.check_token(request) {
            return Err(self.reject(StatusCode::UNAUTHORIZED, REFUSALS.token(sent, HOW_TO_SEND_A_TOKEN), None));
        }
        let Ok(subprotocol) = self.subprotocol(request) else {
            let requested = header_excerpt(request.headers(), header::SEC_WEBSOCKET_PROTOCOL);
            return Err(self.reject(StatusCode::BAD_REQUEST, BAD_SUBPROTOCOL, Some(&requested)));
        };
        if let Some(name) = subprotocol {
            response.headers_mut().insert(header::SEC_WEBSOCKET_PROTOCOL, name);
        }
        if let Err(why) = self.ticket.take_place() {
            return Err(self.reject(StatusCode::SERVICE_UNAVAILABLE, REFUSALS.no_place(why), None));
        }
        self.path = request.uri().path().to_owned();
        Ok(response)
    }
}

const REFUSALS: RefusalTexts = RefusalTexts::new("WsServerConfig");
const HOW_TO_SEND_A_TOKEN: &str =
    "`Authorization: Bearer <token>`, as WsConnectorConfig::token does, or as `?token=<token>` in the URL";
const BAD_SUBPROTOCOL: &str =
    "none of the requested subprotocols is supported: request none, or add one with WsServerConfig::subprotocol";

fn rejection(status: StatusCode, text: String) -> ErrorResponse {
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

    fn auth(config: WsServerConfig) -> UpgradeAuth {
        let checks = Checks::new(config).unwrap();
        let ticket = checks.admission.enter(None);
        UpgradeAuth::new(Arc::new(checks), ([127, 0, 0, 1], 9).into(), ticket)
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
    fn tokens_match_in_header_or_query() {
        let auth = auth(WsServerConfig::default().token("s3cret & more"));
        let has = |uri, headers: &[(&'static str, &str)]| auth.check_token(&request(uri, headers)).is_ok();
        assert!(has("/", &[("authorization", "Bearer s3cret & more")]));
        assert!(has("/", &[("authorization", "bearer  s3cret & more ")]));
        assert!(has("/x?a=b&token=s3cret%20%26%20more", &[]));
        assert!(has("/?token=wrong", &[("authorization", "Bearer s3cret & more")]));
        for (uri, value) in [("/", "Bearer s3cret"), ("/", "Basic s3cret & more"), ("/", "bear"), ("/?token=", "")] {
            assert!(!has(uri, &[("authorization", value)]), "{uri} {value}");
        }
    }

    #[tokio::test]
    async fn one_address_on_another_machine_has_a_limit() {
        let checks = Arc::new(Checks::new(WsServerConfig::default().max_connections_per_address(Some(2))).unwrap());
        let connect = |peer: [u8; 4]| {
            let ticket = checks.admission.enter(Some(peer.into()));
            let mut auth = UpgradeAuth::new(Arc::clone(&checks), (peer, 9).into(), ticket);
            (&mut auth).on_request(&request("/", &[]), Response::new(())).map(|_| auth).map_err(|answer| {
                assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
                answer.into_body().unwrap()
            })
        };
        let _links = [connect([192, 0, 2, 1]).ok().unwrap(), connect([192, 0, 2, 1]).ok().unwrap()];
        let rejection = connect([192, 0, 2, 1]).err().unwrap();
        assert!(rejection.contains("WsServerConfig::max_connections_per_address allows 2 at once"), "{rejection}");
        assert!(connect([192, 0, 2, 2]).is_ok());
        let _local: Vec<_> = (0..9).map(|_| connect([127, 0, 0, 1]).ok().unwrap()).collect();
    }

    #[test]
    fn the_first_supported_subprotocol_is_selected() {
        let auth = auth(WsServerConfig::default().subprotocol("b").subprotocol("a"));
        let selected = |headers: &[&str]| {
            let headers: Vec<_> = headers.iter().map(|value| ("sec-websocket-protocol", *value)).collect();
            auth.subprotocol(&request("/", &headers)).map(|name| name.map(|name| name.to_str().unwrap().to_owned()))
        };
        assert_eq!(selected(&[]).unwrap(), None);
        // The client's order decides, across all its headers.
        for (requested, first) in [(&["a"][..], "a"), (&["x, a ,b"], "a"), (&["x", "y,b", "a"], "b")] {
            assert_eq!(selected(requested).unwrap().as_deref(), Some(first), "{requested:?}");
        }
        for unsupported in ["A", "", ",", "ab", "a b", "\u{e4}"] {
            selected(&[unsupported]).unwrap_err();
        }
    }
}
