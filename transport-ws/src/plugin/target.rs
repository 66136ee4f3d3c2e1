//! What to dial, parsed from a URL.

use std::fmt;

use connector_core::{ConnectError, redacted_url};
use url::{Host, Url};

/// The parts of a URL needed to dial it. `Display` omits parts that may be secret.
pub(super) struct Target {
    pub(super) url: Url,
    /// A host name, or an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) tls: bool,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Target, ConnectError> {
        let original = url;
        let mut url = Url::parse(original)
            .map_err(|error| ConnectError::Refused(format!("not a URL such as ws://127.0.0.1:4000: {error}")))?;
        let tls = match url.scheme() {
            "ws" => false,
            "wss" => true,
            _ => {
                let text =
                    format!("a websocket URL must begin with ws:// or wss://, unlike {}", redacted_url(original));
                return Err(ConnectError::Refused(text));
            }
        };
        url.set_fragment(None);
        let host = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(ip)) => ip.to_string(),
            Some(Host::Ipv6(ip)) => ip.to_string(),
            None => return Err(ConnectError::Refused("the URL has no host".to_owned())),
        };
        let port = url.port().unwrap_or(if tls { 443 } else { 80 });
        Ok(Target { url, host, port, tls })
    }

    /// Whether the URL has a token, as `?token=…`.
    pub(super) fn has_token(&self) -> bool {
        self.url.query_pairs().any(|(key, token)| key == "token" && !token.is_empty())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.url.scheme(), self.url.host_str().unwrap_or_default(), self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_must_be_a_complete_websocket_url() {
        let shown = |url| Target::parse(url).map(|t| format!("{} {} {} {t}", t.host, t.port, t.tls));
        assert_eq!(shown("ws://localhost").unwrap(), "localhost 80 false ws://localhost:80");
        assert_eq!(shown("wss://u:p@[::1]:9/x?token=y#z").unwrap(), "::1 9 true wss://[::1]:9");
        for bad in ["", "localhost:80", "http://localhost", "ws://", "ws://a b", "ws://localhost:99999"] {
            assert!(matches!(shown(bad), Err(ConnectError::Refused(_))), "{bad}");
        }
    }
}
