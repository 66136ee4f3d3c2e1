//! Plugin connectors behind a NATS broker.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
mod client;
mod config;
#[cfg(any(feature = "client", feature = "plugin"))]
mod connection;
#[cfg(any(feature = "client", feature = "plugin"))]
mod control;
#[cfg(any(feature = "client", feature = "plugin"))]
mod link;
#[cfg(feature = "plugin")]
mod plugin;
#[cfg(any(feature = "client", feature = "plugin"))]
mod subjects;
pub mod tls;

#[cfg(feature = "client")]
pub use client::{NatsServer, ServeError, serve};
pub use config::{NatsConfig, NatsLogin};
#[cfg(feature = "plugin")]
pub use plugin::{NatsConnector, NatsReplicas, ReplicaChange, plugin};
#[cfg(any(feature = "client", feature = "plugin"))]
pub use subjects::SubjectError;
