//! Plugin connectors to programs on the same machine: child processes and local sockets.
//!
//! | channel | the plugin's end (feature `client`) | the engine's end (feature `plugin`) |
//! | --- | --- | --- |
//! | a child's standard input and output | [`Channel::find`] | [`child`] with [`ChannelKind::Stdio`] |
//! | Node's IPC channel (`fork`) | [`Channel::find`] | [`child`] with [`ChannelKind::Node`] |
//! | a local socket, served by the engine for its child | [`Channel::find`] | [`child`] with [`ChannelKind::Local`] |
//! | a local socket, served by a plugin that is already running | [`local::serve`] | [`local::plugin`](local::plugin()) |
//!
//! On every channel one line of JSON is one message, of up to 16 MiB by default ([`IpcConfig`]), so a plugin can be
//! written in any language. A line that is not a message is traced and skipped; on Node's channel, where it would kill a
//! Node peer, it ends the link.
//!
//! A pipe or a local socket has no keepalive, so the engine's end checks the health of a silent plugin
//! ([`PluginOptions::health_interval`](connector_core::PluginOptions::health_interval)): one that hangs, or was stopped
//! (`SIGSTOP`), is detected within 20 s. A child is then killed and started again, which counts as a failure. A
//! single-threaded program is not checked while it runs a call within its limit. The plugin's end does no such checks: its
//! channel ends with its engine's process, and a stopped engine may be continued.
//!
//! # Names
//! Every transport has functions `serve` and `plugin`; here they are `local::serve` and `local::plugin`. Call them with
//! their crate and module, as in `tokio::spawn`, and import types one by one: glob imports from two transports are
//! ambiguous.
//!
//! # Platforms
//! Written for Linux, macOS and Windows, tested on Linux. The differences: only on Linux and Windows a program and its
//! descendants reliably end with an engine that is killed; Node's channel exists on Unix only; on Windows a child's
//! standard output is not protected against stray prints.
//!
//! # Processes
//! A child ends with its engine, and its descendants end with it, as far as the system allows: see
#![cfg_attr(feature = "plugin", doc = "[the table](ChildConnector#what-ends-with-it).")]
#![cfg_attr(not(feature = "plugin"), doc = "the table at `ChildConnector` (feature `plugin`).")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "client", feature = "plugin"))]
mod codec;
mod config;
#[cfg(any(feature = "client", feature = "plugin"))]
mod link;
#[cfg(any(feature = "client", feature = "plugin"))]
pub mod local;
#[cfg(any(feature = "client", feature = "plugin"))]
mod pipes;
#[cfg(feature = "plugin")]
mod plugin;
#[cfg(any(feature = "client", feature = "plugin"))]
mod retry;

#[cfg(all(feature = "client", unix))]
pub use client::NodeChannel;
#[cfg(feature = "client")]
pub use client::{Channel, ChannelError};
pub use config::IpcConfig;
#[cfg(feature = "plugin")]
pub use plugin::{ChannelKind, ChildConnector, ChildEnd, InheritedEnv, Program, Restart, child};

#[cfg(all(doctest, feature = "client", feature = "plugin"))]
#[doc = include_str!("../README.md")]
mod readme {}
