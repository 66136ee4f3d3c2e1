//! Plugin connectors to programs on the same machine: child processes and local sockets.
//!
//! | channel | the plugin's end (feature `client`) | the engine's end (feature `plugin`) |
//! | --- | --- | --- |
//! | a child's standard input and output | [`Channel::find`] | [`child`] with [`ChannelKind::Stdio`] |
//! | Node's IPC channel (`fork`) | [`Channel::find`] | [`child`] with [`ChannelKind::Node`] |
//! | a local socket, served by the engine for its child | [`Channel::find`] | [`child`] with [`ChannelKind::Local`] |
//! | a local socket, served by a plugin that runs already | [`local::serve`] | [`local::plugin`](local::plugin()) |
//!
//! On every channel one line of JSON is one message, of up to 16 MiB by default ([`IpcConfig`]), so a plugin can be
//! written in any language. A line that is no message is traced and skipped; on Node's channel, where it would kill a
//! Node peer, it ends the link.
//!
//! A pipe or a local socket has no keepalive, so the engine's end asks a plugin that says nothing for a sign of life
//! ([`PluginOptions::health_interval`](connector_core::PluginOptions::health_interval)): one that hangs, or was stopped
//! (`SIGSTOP`), is found within 20 s. Then a child is killed and started again, which counts as a failure of its. A
//! program with one thread is left alone while it runs a call within its limit. The plugin's end asks nothing: its
//! channel ends with its engine's process, and an engine that was stopped may be continued.
//!
//! # Names
//! Every transport has functions `serve` and `plugin`; here they are `local::serve` and `local::plugin`. Call them by their
//! crate's and module's names, the way one calls `tokio::spawn`, and import types one by one: what is imported from two
//! transports with `*` is ambiguous.
//!
//! # Platforms
//! Written for Linux, macOS and Windows, tested on Linux. What differs elsewhere is said where it does: a program, and what
//! it has started, are sure to end with an engine that is killed on Linux and Windows alone; Node's channel is for Unix
//! alone; on Windows a child's standard output is not guarded against its own stray prints.
//!
//! # Processes
//! What a child has started ends with it, and it with its engine, as far as the system allows: see
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
pub use plugin::{ChannelKind, ChildConnector, ChildEnd, Program, Restart, child};

#[cfg(all(doctest, feature = "client", feature = "plugin"))]
#[doc = include_str!("../README.md")]
mod readme {}
