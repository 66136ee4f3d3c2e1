//! Plugin connectors over websockets: the plugin serves, the engine dials.
//!
//! - [`WsServer`] (feature `client`) is the plugin's end. As in the published packages, "client" means the engine's
//!   client: the plugin, even though it runs the server.
//! - [`WsConnector`] (feature `plugin`) is the engine's end. It dials the `url` in the plugin's profile, `ws://` or
//!   `wss://`.
//! - [`WsConfig`] holds the limits and timeouts of a link. Both ends use the same type.
//! - [`tls`] re-exports the rustls types that the configurations take.
#![cfg_attr(
    feature = "stp",
    doc = "- [`stp`] (feature `stp`) connects services to Sketch-thru-Plan (STP) and provides a hub for them."
)]
//!
//! `client` and `plugin` are enabled by default. Each text frame carries one message. Each end pings a silent peer and
//! ends the link if nothing is received in reply, by default within 20 s. Keepalive runs while the link is polled for
//! messages, which connector-core does. Reconnecting, queues and the plugin handshake are connector-core's work.
//!
//! # Names
//! Every transport exports functions named `serve` and `plugin`. Call them qualified, as `transport_ws::serve(…)`, and
//! import types individually: glob imports from two transports are ambiguous.
//!
//! # Safe by default
//! By default a plugin's server accepts connections only from its own machine ([`WsServerConfig::allow_remote`]) and
//! rejects web pages ([`WsServerConfig::allow_origin`]), because any website can try to open a websocket to
//! `localhost`. For wider access, require a token ([`WsServerConfig::token`]) and serve `wss://`
//! ([`WsServerConfig::tls`]). Frames, buffers, connections and times are bounded. Tokens and the paths and queries of
//! URLs are never printed or traced.
//!
//! # Limits of a server
//! | what | default | setting |
//! | --- | --- | --- |
//! | pending connections: TLS, upgrade or plugin handshake unfinished | 256; the oldest gives way after 75 ms | [`WsServerConfig::max_handshakes`] |
//! | TLS and upgrade of a connection | 5 s | [`WsConfig::accept_timeout`] |
//! | plugin handshake of a link | 10 s | `ClientConfig::handshake_timeout` (hub: register within 10 s, `StpHubConfig::register_timeout`) |
//! | bytes received before the plugin handshake | 64 KiB in total | none |
//! | links | 64 (hub: 4,096); pending ones give way after 75 ms | [`WsServerConfig::max_connections`] |
//! | links of one address on another machine | 16 (hub: 256) | [`WsServerConfig::max_connections_per_address`] |
//! | one message | 16 MiB | [`WsConfig::max_message`] |
//!
//! **Worst case.** Peers without the token, or that have not performed the plugin handshake, occupy at most
//! `max_handshakes` × (2 × 64 KiB + `read_buffer` + `write_buffer` + 48 KiB for TLS and bookkeeping): 52 MiB by default,
//! in the hub as well. (Address space for an announced frame is reserved earlier, but not touched.) An admitted engine may
//! occupy `max_message` while a message arrives, and the queues of its link
//! ([`QueueLimits`](connector_core::QueueLimits)).
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
//! let (url, serving) = transport_ws::serve("127.0.0.1:0", move || calculator.clone()).await?;
//! tokio::spawn(serving);
//!
//! // In the host:
//! let engine = Engine::new();
//! let local = engine.register(Plugin::new("local"))?;
//! engine.register(transport_ws::plugin("calculator", &url))?;
//! engine.manager().activate("local").await?;
//! assert_eq!(local.call::<i64>("calculator", "add", (1, 2)).await?, 3);
//! # Ok(())
//! # }
//! ```
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
mod client;
mod config;
#[cfg(any(feature = "client", feature = "plugin"))]
mod link;
#[cfg(feature = "plugin")]
mod plugin;
#[cfg(feature = "stp")]
pub mod stp;
pub mod tls;

#[cfg(feature = "client")]
pub use client::{WsServer, WsServerConfig, serve, serve_with};
pub use config::WsConfig;
#[cfg(feature = "plugin")]
pub use plugin::{WsConnector, WsConnectorConfig, plugin, plugin_with};
#[cfg(feature = "client")]
#[doc(inline)]
pub use transport_server::BindError;

#[cfg(all(doctest, feature = "client", feature = "plugin"))]
#[doc = include_str!("../README.md")]
mod readme {}
