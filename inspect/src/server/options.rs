//! How an engine is shown.

use std::net::{Ipv4Addr, SocketAddr};

use derive_more::Debug;

use crate::capture::Capture;

/// How [`serve`](crate::serve) shows an engine.
///
/// ```
/// use connector_inspect::{Capture, ServeOptions};
///
/// let options = ServeOptions::default().port(4100).allow_calls(true).capture(Capture::new().redact(["/0/password"]));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ServeOptions {
    /// The address to listen on. Default 127.0.0.1, on a free port.
    pub addr: SocketAddr,
    /// Whether the address may be reachable from other machines. What crosses the network is not encrypted: the token and all
    /// messages can be read there. Default `false`.
    pub allow_remote: bool,
    /// The token that viewers must have. `None` makes a new one at each start. Default `None`.
    #[debug("{}", token.as_ref().map_or("None", |_| "…"))]
    pub token: Option<String>,
    /// Further host names under which a browser may reach the page, without a port, for example of a proxy. The bound address,
    /// `localhost` and the loopback addresses are always allowed. Default: none.
    pub hosts: Vec<String>,
    /// Whether viewers may call methods, emit events, and activate and deactivate plugins. Default `false`: they only see.
    pub allow_calls: bool,
    /// The name of the plugin in whose name viewers act. Default `inspector`.
    pub name: String,
    /// What of the payloads is kept. Default: [`Capture::new`]. Values between plugins of
    /// this process are always serialized ([`Capture::values`]).
    pub capture: Capture,
    /// The number of records that are kept. Default 10,000.
    pub max_records: usize,
    /// The memory that they may occupy, in bytes, approximately. Default 16 MiB.
    pub max_bytes: usize,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        ServeOptions {
            addr: (Ipv4Addr::LOCALHOST, 0).into(),
            allow_remote: false,
            token: None,
            hosts: Vec::new(),
            allow_calls: false,
            name: "inspector".to_owned(),
            capture: Capture::new(),
            max_records: 10_000,
            max_bytes: 16 << 20,
        }
    }
}

impl ServeOptions {
    /// Sets [`addr`](ServeOptions#structfield.addr).
    #[must_use]
    pub fn addr(mut self, addr: impl Into<SocketAddr>) -> ServeOptions {
        self.addr = addr.into();
        self
    }

    /// Sets the port of [`addr`](ServeOptions#structfield.addr); 0 picks a free one.
    #[must_use]
    pub fn port(mut self, port: u16) -> ServeOptions {
        self.addr.set_port(port);
        self
    }

    /// Sets [`allow_remote`](ServeOptions#structfield.allow_remote).
    #[must_use]
    pub fn allow_remote(mut self, allow: bool) -> ServeOptions {
        self.allow_remote = allow;
        self
    }

    /// Sets [`token`](ServeOptions#structfield.token).
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> ServeOptions {
        self.token = Some(token.into());
        self
    }

    /// Adds one of the [`hosts`](ServeOptions#structfield.hosts).
    #[must_use]
    pub fn host(mut self, name: impl Into<String>) -> ServeOptions {
        self.hosts.push(name.into());
        self
    }

    /// Sets [`allow_calls`](ServeOptions#structfield.allow_calls).
    #[must_use]
    pub fn allow_calls(mut self, allow: bool) -> ServeOptions {
        self.allow_calls = allow;
        self
    }

    /// Sets the [`name`](ServeOptions#structfield.name).
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> ServeOptions {
        self.name = name.into();
        self
    }

    /// Sets [`capture`](ServeOptions#structfield.capture).
    #[must_use]
    pub fn capture(mut self, capture: Capture) -> ServeOptions {
        self.capture = capture;
        self
    }

    /// Sets [`max_records`](ServeOptions#structfield.max_records) and [`max_bytes`](ServeOptions#structfield.max_bytes).
    #[must_use]
    pub fn recent(mut self, max_records: usize, max_bytes: usize) -> ServeOptions {
        (self.max_records, self.max_bytes) = (max_records, max_bytes);
        self
    }
}
