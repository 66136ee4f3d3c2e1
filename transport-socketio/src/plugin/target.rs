//! What to dial, parsed from a URL.

use connector_core::{ConnectError, redacted_url};
use url::{Host, Url};

/// The parts of a URL needed to dial it.
pub(super) struct Target {
    /// The engine.io URL.
    pub(super) url: Url,
    pub(super) namespace: String,
    /// A host name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// For error messages, without path and query.
    pub(super) place: String,
}

impl Target {
    pub(super) fn parse(url: &str, path: &str) -> Result<Target, ConnectError> {
        let namespace = match path_of(url).trim_end_matches('/') {
            "" => "/".to_owned(),
            namespace => namespace.to_owned(),
        };
        let given = url;
        let mut url = Url::parse(given)
            .map_err(|error| ConnectError::Refused(format!("not a URL such as http://127.0.0.1:4000: {error}")))?;
        if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
            let text = format!("a socket.io URL must begin with http:// or https://, unlike {}", redacted_url(given));
            return Err(ConnectError::Refused(text));
        }
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            _ => return Err(ConnectError::Refused("the URL has no host".to_owned())),
        };
        let port = url.port_or_known_default().unwrap_or_default();
        let place = format!("{}://{}:{port}", url.scheme(), url.host_str().unwrap_or_default());
        url.set_path(&format!("/{}/", path.trim_matches('/')));
        url.set_fragment(None);
        Ok(Target { url, namespace, host, port, place })
    }
}

/// The path without decoding, which is what socket.io in JavaScript uses as the namespace.
fn path_of(url: &str) -> &str {
    let after = url.split_once("://").map_or("", |(_, after)| after);
    let until_query = after.split(['?', '#']).next().unwrap_or_default();
    until_query.find('/').map_or("", |at| &until_query[at..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_must_be_complete_and_its_path_is_the_namespace() {
        let at = |url| Target::parse(url, "/socket.io").map(|t| format!("{} {} {}", t.url, t.namespace, t.place));
        assert_eq!(at("http://localhost").unwrap(), "http://localhost/socket.io/ / http://localhost:80");
        let full = at("https://[::1]:9/admin/?a=b#c").unwrap();
        assert_eq!(full, "https://[::1]:9/socket.io/?a=b /admin https://[::1]:9");
        assert!(at("http://h?/a").unwrap().ends_with(" / http://h:80"));
        assert!(at("http://h/%41é/b#/c").unwrap().ends_with(" /%41é/b http://h:80"));
        for bad in ["", "localhost:80", "ftp://localhost", "http://", "http://a b"] {
            assert!(matches!(at(bad), Err(ConnectError::Refused(_))), "{bad}");
        }
    }
}
