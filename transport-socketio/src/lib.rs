//! Plugin connectors over socket.io: the plugin serves, the engine dials.
//!
//! - [`SocketIoServer`] (feature `client`) is the plugin's end, built on socketioxide. [`mount`] adds it to an existing
//!   axum or hyper service. As in the published packages, "client" means the engine's client: the plugin, even though
//!   it runs the server.
//! - [`SocketIoConnector`] (feature `plugin`) is the engine's end. It dials the `url` in the plugin's profile,
//!   `http://` or `https://`. The URL's path is the namespace, as usual in socket.io.
//! - [`tls`] re-exports the TLS types that the configurations take.
//!
//! Both features are enabled by default. Each message is the single argument, an object, of an event `message`
//! (docs/protocol.md, section 7.5). Reconnecting, queues and the plugin handshake are connector-core's work.
//!
//! The plugin's end serves websockets and long polling, including the upgrade from polling to a websocket. The engine's
//! end uses websockets only. Long polling is for web pages.
//!
//! # Names
//! Every transport exports functions named `serve` and `plugin`. Call them qualified, as
//! `transport_socketio::serve(…)`, and import types individually: glob imports from two transports are ambiguous.
//!
//! # Safe by default
//! By default a plugin's server accepts connections only from its own machine ([`SocketIoServerConfig::allow_remote`])
//! and rejects web pages ([`SocketIoServerConfig::allow_origin`]). For wider access, require a token
//! ([`SocketIoServerConfig::token`]) and serve `https://` ([`SocketIoServerConfig::tls`]). Messages, buffers,
//! connections and times are bounded. Tokens are never printed or traced.
//!
//! # Limits of a server
//! | what | default | setting |
//! | --- | --- | --- |
//! | pending TCP connections of a standalone server | 3 for each engine, at least 64: 192; the oldest gives way after 75 ms | [`SocketIoServerConfig::max_connections`] |
//! | TLS, and the head of a request | 5 s | none |
//! | the body of a request | 15 s, then HTTP 408 | `ping_interval` + `ping_timeout` |
//! | pending sessions, counted from their first request | 256, then HTTP 503; the oldest gives way after 75 ms | none |
//! | CONNECT after a session's first request | 5 s | none |
//! | plugin handshake of a link | 10 s | `ClientConfig::handshake_timeout` |
//! | bytes received before the plugin handshake | 64 KiB for each connection, and for each body | none |
//! | engines | 64; pending ones give way after 75 ms | [`SocketIoServerConfig::max_connections`] |
//! | engines of one address on another machine, not if mounted | 16 | [`SocketIoServerConfig::max_connections_per_address`] |
//! | one message, one polling body | 16 MiB, 2 MiB | [`SocketIoServerConfig::max_message`], [`max_polling_body`](SocketIoServerConfig#structfield.max_polling_body) |
//!
//! **Worst case.** Peers without the token, or that have not performed the plugin handshake, occupy at most
//! 3 × `max_connections` × (2 × 64 KiB + 64 KiB for TLS, HTTP and bookkeeping), and 256 sessions of 16 KiB: 40 MiB by
//! default. For a mounted layer the host's server limits connections and the frames of websockets instead; the layer
//! limits sessions and bodies.
//!
//! # Dependencies
//! The plugin's end is pure Rust. The engine's end uses `rust_socketio`'s engine.io client (`rust_engineio`), which
//! depends on `native-tls`: on Linux that is OpenSSL and its headers. This crate reads and writes socket.io's packets
//! itself, because `rust_socketio` reorders a payload's keys, rounds large numbers, and does not report a gracefully
//! closed connection (`tests/rust_socketio.rs` demonstrates the last two).
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
//! // In the host:
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
pub mod tls;

#[cfg(feature = "client")]
pub use client::{
    SocketIoEngines, SocketIoLayer, SocketIoServer, SocketIoServerConfig, SocketIoService, mount, serve, serve_with,
};
#[cfg(feature = "plugin")]
pub use plugin::{SocketIoConnector, SocketIoConnectorConfig, plugin, plugin_with};
#[cfg(feature = "client")]
#[doc(inline)]
pub use transport_server::BindError;

#[cfg(all(doctest, feature = "client", feature = "plugin"))]
#[doc = include_str!("../README.md")]
mod readme {}
