//! Which requests are answered: by their host, their origin and their token.

use std::net::SocketAddr;

use axum::response::{IntoResponse, Response};
use connector_core::{Excerpt, TraceLimit};
use http::{HeaderMap, StatusCode, Uri, header};
use transport_server::{AllowedOrigins, token_matches};
use url::form_urlencoded;

use super::ServeError;

pub(super) struct Checks {
    token: String,
    /// Names and addresses without a port, in lower case.
    hosts: Vec<String>,
    rejections: TraceLimit,
}

/// Why a request is refused, for the client.
#[derive(Debug)]
pub(super) struct Refused(StatusCode, &'static str);

const HOST: &str = "this host name is not the inspector's: open it as localhost or 127.0.0.1, or allow the name with \
                    ServeOptions::host in the host program";
const ORIGIN: &str = "this page may not connect to the inspector: only the inspector's own page may";
const NO_ORIGIN: &str = "a websocket without an Origin must send the token as `Authorization: Bearer TOKEN`";
const NO_TOKEN: &str = "no token was sent: open the whole URL that the host program printed, with ?token=…";
const WRONG_TOKEN: &str =
    "the token is wrong: a new one is made at each start; use the URL that the host program printed last";

impl Checks {
    pub(super) fn new(token: String, address: SocketAddr, hosts: Vec<String>) -> Checks {
        // As in a URL: an IPv6 address in brackets.
        let bound = SocketAddr::new(address.ip(), 0).to_string();
        let known = ["localhost", "127.0.0.1", "[::1]", without_port(&bound)].map(str::to_owned);
        let hosts = known.into_iter().chain(hosts).map(|host| host.to_ascii_lowercase()).collect();
        Checks { token, hosts, rejections: TraceLimit::default() }
    }

    fn refuse(&self, why: &'static str, given: Option<&str>) -> Refused {
        if let Some(left_out) = self.rejections.pass() {
            let given = given.map(Excerpt::new).map(tracing::field::debug);
            tracing::warn!(given, left_out, "the inspector refused a request: {why}");
        }
        Refused(StatusCode::FORBIDDEN, why)
    }

    /// The host and port by which the client reaches the inspector. A page of another site cannot choose it, even if that site's
    /// name leads to this machine.
    pub(super) fn host<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, Refused> {
        let mut sent = headers.get_all(header::HOST).iter();
        let host =
            sent.next().and_then(|host| host.to_str().ok()).filter(|_| sent.next().is_none()).unwrap_or_default();
        let name = without_port(host).to_ascii_lowercase();
        match self.hosts.contains(&name) {
            true => Ok(host),
            false => Err(self.refuse(HOST, Some(host))),
        }
    }

    /// Checks the token of a request for the page.
    pub(super) fn page(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        match self.has_token(uri, headers) {
            Some(true) => Ok(()),
            Some(false) => Err(self.refuse(WRONG_TOKEN, None)),
            None => Err(self.refuse(NO_TOKEN, None)),
        }
    }

    /// Checks the origin and the token of a request for a websocket.
    pub(super) fn websocket(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refused> {
        let host = self.host(headers)?;
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        let own = AllowedOrigins::new(&["http", "https"].map(|scheme| format!("{scheme}://{host}")));
        if !own.is_ok_and(|own| own.allow(headers)) {
            return Err(self.refuse(ORIGIN, origin));
        }
        if !headers.contains_key(header::ORIGIN) && bearer(headers).is_none() {
            return Err(self.refuse(NO_ORIGIN, None));
        }
        self.page(uri, headers)
    }

    /// Whether the token is the right one; `None` if there is none.
    fn has_token(&self, uri: &Uri, headers: &HeaderMap) -> Option<bool> {
        if let Some(token) = bearer(headers) {
            return Some(token_matches(&self.token, token));
        }
        let query = uri.query().unwrap_or_default();
        let token = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "token")?.1;
        Some(token_matches(&self.token, token.as_bytes()))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => name,
        _ => host,
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(status, why) = self;
        (status, format!("{}: {why}\n", status.as_u16())).into_response()
    }
}

/// A token of 128 random bits.
pub(super) fn new_token() -> Result<String, ServeError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| ServeError::Token(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The token as the query of a URL.
pub(super) fn query(token: &str) -> String {
    form_urlencoded::Serializer::new(String::new()).append_pair("token", token).finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checks() -> Checks {
        Checks::new("s3cret".to_owned(), ([127, 0, 0, 1], 4100).into(), vec!["Tunnel.example".to_owned()])
    }

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        lines.iter().fold(HeaderMap::new(), |mut headers, (name, value)| {
            headers.append(*name, value.parse().unwrap());
            headers
        })
    }

    #[test]
    fn only_own_hosts_are_answered() {
        for host in ["127.0.0.1:4100", "localhost:4100", "LOCALHOST:1", "localhost", "[::1]:4100", "tunnel.example"] {
            assert_eq!(checks().host(&headers(&[("host", host)])).unwrap(), host);
        }
        for host in
            ["evil.example:4100", "localhost.evil.example", "127.0.0.1.evil.example:4100", "", "127.0.0.2", "::1"]
        {
            checks().host(&headers(&[("host", host)])).unwrap_err();
        }
        checks().host(&headers(&[])).unwrap_err();
        checks().host(&headers(&[("host", "localhost"), ("host", "localhost")])).unwrap_err();
    }

    #[test]
    fn a_websocket_needs_the_pages_origin_and_a_token_or_a_token_in_its_header() {
        const HOST: (&str, &str) = ("host", "127.0.0.1:4100");
        const BEARER: (&str, &str) = ("authorization", "Bearer s3cret");
        let may = |uri: &str, lines: &[(&'static str, &str)]| {
            checks().websocket(&uri.parse().unwrap(), &headers(&[&[HOST], lines].concat())).is_ok()
        };
        assert!(may("/ws?token=s3cret", &[("origin", "http://127.0.0.1:4100")]));
        assert!(may("/ws", &[BEARER]));
        assert!(may("/ws", &[BEARER, ("origin", "http://127.0.0.1:4100")]));
        for (uri, lines) in [
            ("/ws?token=s3cret", &[][..]),
            ("/ws?token=s3cret", &[("origin", "http://127.0.0.1:4101")]),
            ("/ws?token=s3cret", &[("origin", "http://evil.example")]),
            ("/ws?token=s3cret", &[("origin", "null")]),
            ("/ws?token=s3cret", &[("origin", "http://127.0.0.1:4100"), ("origin", "http://evil.example")]),
            ("/ws?token=wrong", &[("origin", "http://127.0.0.1:4100")]),
            ("/ws", &[("origin", "http://127.0.0.1:4100")]),
            ("/ws", &[("authorization", "Bearer wrong")]),
            ("/ws", &[BEARER, ("origin", "http://evil.example")]),
        ] {
            assert!(!may(uri, lines), "{uri} {lines:?}");
        }
    }

    #[test]
    fn tokens_differ_and_survive_a_url() {
        assert_ne!(new_token().unwrap(), new_token().unwrap());
        let query = query("a&b=c d");
        let uri: Uri = format!("/?{query}").parse().unwrap();
        let checks = Checks::new("a&b=c d".to_owned(), ([127, 0, 0, 1], 1).into(), Vec::new());
        checks.page(&uri, &HeaderMap::new()).unwrap();
    }
}
