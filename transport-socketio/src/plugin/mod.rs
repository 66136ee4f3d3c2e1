//! The engine's end: dials a plugin's `url`.

mod config;
mod connector;
mod errors;
mod link;
mod target;

pub use self::config::SocketIoConnectorConfig;
pub use self::connector::{SocketIoConnector, plugin, plugin_with};
