//! Local sockets, with real ones.
#![cfg(all(unix, feature = "client", feature = "plugin"))]

mod dials;
mod links;
mod sockets;
mod support;
