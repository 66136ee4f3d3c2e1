//! The engine's end: dials a plugin's `url`.

mod config;
mod connector;
mod errors;
mod target;
mod tcp;

pub use self::config::WsConnectorConfig;
pub use self::connector::{WsConnector, plugin, plugin_with};
