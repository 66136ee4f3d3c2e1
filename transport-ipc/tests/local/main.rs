//! Local sockets of the system.
#![cfg(all(unix, feature = "client", feature = "plugin"))]

mod admission;
mod dials;
mod links;
mod sockets;
mod support;
