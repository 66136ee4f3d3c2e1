//! Plugin connectors to child processes and local sockets.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
mod client;
mod codec;
mod config;
mod environment;
mod link;
pub mod local;
#[cfg(feature = "plugin")]
mod plugin;

#[cfg(all(feature = "client", unix))]
pub use client::NodeChannel;
#[cfg(feature = "client")]
pub use client::{Channel, ChannelError};
pub use config::IpcConfig;
#[cfg(feature = "plugin")]
pub use plugin::{ChannelKind, ChildConnector, ChildEnd, Program, Restart, child};
