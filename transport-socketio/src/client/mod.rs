//! The plugin's end: a socket.io server that engines dial.

mod auth;
mod capacity;
mod config;
mod connection;
mod events;
mod layer;
mod link;
mod pace;
mod server;
mod sessions;

pub use self::config::SocketIoServerConfig;
pub use self::layer::{SocketIoEngines, SocketIoLayer, SocketIoService, mount};
pub use self::server::{SocketIoServer, serve, serve_with};
