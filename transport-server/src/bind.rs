//! Why a server could not be bound, and what to do about it.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use connector_core::BadSetting;

/// Why a server could not be bound.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is reachable from other machines, and the configuration does not allow that.
    #[error(
        "{addr} can be reached from other machines: bind a loopback address such as 127.0.0.1, or allow it with \
         allow_remote in the server's configuration and set a token"
    )]
    Remote {
        /// The requested address.
        addr: SocketAddr,
    },
    /// A setting with which nothing can work, for example a limit of 0.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// The token is empty, so every client would have it.
    #[error("the token is empty: set a long random one, or none")]
    EmptyToken,
    /// A subprotocol that is not a valid token, so no client can request it. Only websocket servers have subprotocols.
    #[error("{name:?} is not a valid subprotocol: use letters, digits and characters such as `-`, `.` and `_`")]
    Subprotocol {
        /// The entry of the configuration's subprotocols.
        name: String,
    },
    /// An entry of the allowed origins that no page has, or that every page can have.
    #[error("{origin:?} cannot be allowed as an origin: {why}")]
    Origin {
        /// The entry of the configuration's allowed origins.
        origin: String,
        /// The reason, and what to do.
        why: &'static str,
    },
    /// The address is malformed, or its host name cannot be resolved.
    #[error("cannot listen on {addr} ({error}): give a host and a port, without a scheme, such as 127.0.0.1:4000")]
    Resolve {
        /// The requested address, at most 200 characters of its `Debug` text.
        addr: String,
        /// The system's error, or the parser's.
        error: io::Error,
    },
    /// None of the addresses can be bound.
    #[error("cannot listen on {at} ({error}){}", remedy(error))]
    Io {
        /// The addresses tried.
        at: String,
        /// The system's error for the last address.
        error: io::Error,
    },
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            ": another program already listens there, perhaps an earlier run of this one; stop it, or choose another port \
             (port 0 picks a free one)"
        }
        io::ErrorKind::PermissionDenied => {
            ": that port is reserved for privileged programs; choose one above 1023 (port 0 picks a free one)"
        }
        io::ErrorKind::AddrNotAvailable => {
            ": this machine does not have that address; use one that it has, such as 127.0.0.1"
        }
        _ => "",
    }
}
