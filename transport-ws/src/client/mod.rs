//! The plugin's end: a server that engines dial.

mod auth;
mod config;
mod server;

pub use self::config::WsServerConfig;
#[cfg(feature = "stp")]
pub(crate) use self::server::Accepted;
pub use self::server::{WsServer, serve, serve_with};
