//! Plugin connectors over websockets: the plugin serves, the engine dials.
//!
//! - [`WsServer`] (feature `client`) is the plugin's end. "Client" as in the published packages: the plugin is the
//!   engine's client even where it runs the server.
//! - [`WsConnector`] (feature `plugin`) is the engine's end. It dials the `url` of the plugin's profile, `ws://` or
//!   `wss://`.
//! - [`WsConfig`] holds the limits and times of a link, the same at either end.
#![cfg_attr(
    feature = "stp",
    doc = "- [`stp`] (feature `stp`) connects services to Sketch-thru-Plan, and is a hub for them."
)]
//!
//! `client` and `plugin` are on by default. One text frame is one message. Either end pings a peer it has not heard of
//! and ends the link when nothing comes back, by default within 20 s; reading pongs takes no help of the user's, but a
//! link has to be polled for messages, as its core does. Dialling again, queues and the plugins' handshake are the
//! core's.
//!
//! # Names
//! Every transport has functions `serve` and `plugin`. Call them by the crate's name, as `transport_ws::serve(…)`, the way one calls
//! `tokio::spawn`, and import types one by one: what is imported from two transports with `*` is ambiguous.
//!
//! # Safe by default
//! A plugin's server can be reached from its own machine only ([`WsServerConfig::allow_remote`]), and by no page in a
//! browser ([`WsServerConfig::allow_origin`]): any website may try to open a websocket to `localhost`. For more, ask
//! for a token ([`WsServerConfig::token`]) and serve `wss://` ([`WsServerConfig::tls`]). Frames, buffers, connections
//! and times are bounded. Tokens are not printed and not traced; neither are the paths and queries of URLs.
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
//! // In the host's:
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
#[cfg(any(feature = "client", feature = "plugin"))]
mod close;
#[cfg(any(feature = "client", feature = "plugin"))]
mod codec;
mod config;
#[cfg(any(feature = "client", feature = "plugin"))]
mod keepalive;
#[cfg(any(feature = "client", feature = "plugin"))]
mod link;
#[cfg(feature = "plugin")]
mod plugin;
#[cfg(feature = "stp")]
pub mod stp;
#[cfg(any(feature = "client", feature = "plugin"))]
mod stream;

#[cfg(feature = "client")]
pub use client::{BindError, WsServer, WsServerConfig, serve};
pub use config::WsConfig;
#[cfg(feature = "plugin")]
pub use plugin::{WsConnector, WsConnectorConfig, plugin};

#[cfg(all(doctest, feature = "client", feature = "plugin"))]
#[doc = include_str!("../README.md")]
mod readme {}
