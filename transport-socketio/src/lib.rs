//! Plugin connectors over socket.io: the plugin serves, the engine dials.
//!
//! - [`SocketIoServer`] (feature `client`) is the plugin's end, on socketioxide; [`mount`] puts it on an axum or hyper
//!   service of one's own. "Client" as in the published packages: the plugin is the engine's client even where it runs
//!   the server.
//! - [`SocketIoConnector`] (feature `plugin`) is the engine's end. It dials the `url` of the plugin's profile,
//!   `http://` or `https://`; the URL's path is the namespace, as everywhere in socket.io.
//!
//! Both features are on by default. A message is the one argument of an event `message`, an object
//! (docs/protocol.md, section 7.5). Dialling again, queues and the plugins' handshake are the core's.
//!
//! The plugin's end serves websockets and long polling, and moves from one to the other; the engine's end takes
//! websockets. Long polling is for pages in browsers.
//!
//! # Names
//! Every transport has functions `serve` and `plugin`. Call them by the crate's name, as `transport_socketio::serve(…)`, the way one calls
//! `tokio::spawn`, and import types one by one: what is imported from two transports with `*` is ambiguous.
//!
//! # Safe by default
//! A plugin's server can be reached from its own machine only ([`SocketIoServerConfig::allow_remote`]), and by no page
//! in a browser ([`SocketIoServerConfig::allow_origin`]). For more, ask for a token ([`SocketIoServerConfig::token`])
//! and serve `https://` ([`SocketIoServerConfig::tls`]). Messages, buffers, connections and times are bounded. Tokens
//! are not printed and not traced.
//!
//! # What it builds on
//! The plugin's end needs Rust alone. The engine's end takes rust_socketio's engine.io client (`rust_engineio`), which
//! brings `native-tls`: on Linux that is OpenSSL and its headers. The packets of socket.io above it are read and
//! written here: rust_socketio's own reader gives a payload back with its keys in another order and its large numbers
//! rounded, and tells nobody of a connection that was closed in order (`tests/rust_socketio.rs` shows both).
//!
//! # Example
#![cfg_attr(all(feature = "client", feature = "plugin"), doc = "```")]
#![cfg_attr(not(all(feature = "client", feature = "plugin")), doc = "```ignore")]
//! use connector_core::{Engine, Plugin};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // In the plugin's program:
//! let calculator = Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b });
//! let (url, serving) = transport_socketio::serve("127.0.0.1:0", move || calculator.clone()).await?;
//! tokio::spawn(serving);
//!
//! // In the host's:
//! let engine = Engine::new();
//! let local = engine.register(Plugin::new("local"))?;
//! engine.register(transport_socketio::plugin("calculator", &url))?;
//! engine.manager().activate("local").await?;
//! assert_eq!(local.call::<i64>("calculator", "add", (1, 2)).await?, 3);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
mod client;
#[cfg(any(feature = "client", feature = "plugin"))]
mod codec;
#[cfg(any(feature = "client", feature = "plugin"))]
mod config;
#[cfg(feature = "plugin")]
mod plugin;

#[cfg(feature = "client")]
pub use client::{
    BindError, SocketIoEngines, SocketIoLayer, SocketIoServer, SocketIoServerConfig, SocketIoService, mount, serve,
};
#[cfg(feature = "plugin")]
pub use plugin::{SocketIoConnector, SocketIoConnectorConfig, plugin};

#[cfg(all(doctest, feature = "client", feature = "plugin"))]
#[doc = include_str!("../README.md")]
mod readme {}
