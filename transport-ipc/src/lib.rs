//! Plugin connectors to child processes and local sockets.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod codec;
mod config;
mod link;

pub use config::IpcConfig;
