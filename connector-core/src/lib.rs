//! An engine and its plugins, wherever they live, call each other's methods and listen to each other's events.
//!
//! This crate is everything but the transports. Those are crates of their own: `transport-ws` (websockets),
//! `transport-ipc` (child processes and local sockets), `transport-socketio` (socket.io) and `transport-worker`
//! (threads).
//!
//! # From nothing to a call
//!
//! In `Cargo.toml`, beside this crate: `tokio` with its features `macros` and `rt-multi-thread`.
//!
//! ```
//! use connector_core::{Engine, Plugin};
//!
//! async fn divide(a: f64, b: f64) -> Result<f64, String> {
//!     if b == 0.0 { Err("cannot divide by zero".to_owned()) } else { Ok(a / b) }
//! }
//!
//! #[tokio::main]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//!     let engine = Engine::new();
//!     engine.register(Plugin::new("calculator").method("divide", divide))?;
//!     // The host takes part as a plugin, too: calls and subscriptions always come from a plugin.
//!     let app = engine.register(Plugin::new("app"))?;
//!     engine.manager().activate("app").await?;
//!
//!     // The first call activates the calculator.
//!     assert_eq!(app.call::<f64>("calculator", "divide", (1, 2)).await?, 0.5);
//!     let error = app.call::<f64>("calculator", "divide", (1, 0)).await.unwrap_err();
//!     assert_eq!(error.to_string(), "cannot divide by zero");
//!
//!     engine.shutdown().await;
//!     Ok(())
//! }
//! ```
//!
//! Here the calculator runs in the host's process. To move it behind a websocket, its program serves it with
//! `transport_ws::serve("127.0.0.1:4000", calculator)`, and the host registers
//! `transport_ws::plugin("calculator", "ws://127.0.0.1:4000")` in its place. Nothing else changes.
//!
//! # Concepts
//!
//! - A [`Plugin`] is a value: a name, a table of methods, and hooks. The same value is registered with an engine, or
//!   served by a program of its own.
//! - An [`Engine`] knows plugins by their names, and routes every call and event between them. A registered plugin is
//!   inactive; it is activated by the host ([`PluginManager::activate`]), by another plugin, or by the first call to
//!   it.
//! - A [`PluginClient`] is a plugin's handle: it calls, emits and listens in that plugin's name, in the engine's
//!   process as well as at the other end of a link.
//! - A *connector* makes [`Link`]s: [`PluginConnector`] is the engine's end of a transport, [`ClientConnector`] the
//!   plugin's. "Client" is the published packages' word: the plugin is the engine's client, even where it runs the
//!   server.
//! - The *manager* is a plugin that every engine has. Plugins ask it for profiles and activations; the host has
//!   [`Engine::manager`].
//!
//! # Where to look
//!
//! To write a plugin:
//! - [`Plugin`], [`Service`]; [`Method`] says what functions can be methods, [`Reply`] what they can return, and
//!   [`Json`] returns any type, also as a typed error. [`Context`] is a call's own, [`Rest`] takes any arguments.
//! - [`PluginClient`] to call others ([`call`](PluginClient::call)), to emit ([`emit`](PluginClient::emit)) and to
//!   listen ([`on`](PluginClient::on), or [`events`](PluginClient::events), which gives an [`EventStream`]).
//! - [`serve()`] and [`connect()`] put it behind a transport, [`Serving::until`] stops it in order, [`ClientConfig`]
//!   has its limits.
//!
//! To write a host:
//! - [`Engine`], [`EngineBuilder`], [`PluginManager`], [`Registration`], and [`PluginOptions`] with the limits of one
//!   plugin.
//! - Who may do what: [`EngineBuilder::access_rule`] with [`Access`] and [`Operation`]; [`Policy`].
//! - [`LinkState`] says whether a plugin's link is up, [`LinkEnd`] how it ended, and [`ConnectError`] why it could not be
//!   made.
//!
//! Errors: [`CallError`] says how a call ended, [`Refusal`] why it was not let through, [`Fault`] what a method threw.
//! [`RegisterError`], [`ActivateError`], [`UpdateError`] and [`ServiceError`] are those of other operations.
//!
//! To write a transport:
//! - [`Link`] and its contract; [`FramedLink`] makes one of any stream and sink; [`Message`], [`Id`] and [`Payload`]
//!   cross it. [`StallDetector`] and [`redacted_url()`] are there to share.
//!
//! Sketch-thru-Plan: module [`stp`].
//!
//! # Guides
//!
//! In the workspace, `docs/`:
//!
//! - Test your plugin: `test-a-plugin.md`, with the crate `conformance`, which has a transport in memory.
//! - Write your own connector: `write-your-own-connector.md`, with the suite of the crate `conformance`.
//! - How this crate is built, and which invariants hold: `architecture.md`.
//!
//! # Runtime
//!
//! Everything runs on a tokio runtime with its time enabled. Nothing here needs tokio's I/O.
#![cfg_attr(docsrs, feature(doc_cfg))]
// From other crates' pages: Cargo may document them before this one, and rustdoc then finds no page to link to.
#![doc(html_root_url = "../")]

mod client;
mod connector;
mod engine;
mod error;
mod framed;
mod guard;
mod link;
mod plugin;
mod profile;
mod redact;
mod runtime;
mod session;
pub mod stp;
mod sync;
mod trace_limit;
mod wire;
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use async_trait::async_trait;
pub use client::{CallResult, ClientConfig, Event, EventStream, PluginClient, Serving, connect, serve};
pub use connector::{
    ClientConnector, ConnectError, Link, LinkEnd, PluginConnector, PluginPanicked, SendError, Traffic,
};
pub use engine::{
    Access, DefaultPolicy, Engine, EngineBuilder, LinkState, Operation, PluginManager, PluginOptions, Policy,
    Registration, UrlTransform,
};
pub use error::{
    ActivateError, CallError, Fault, LinkLost, Refusal, RegisterError, ServiceError, UpdateError, WrongResult,
};
pub use framed::FramedLink;
pub use link::{QueueLimits, StallDetector};
pub use plugin::{Context, IntoArgs, Json, Listener, Method, Parameter, Parameters, Plugin, Reply, Rest, Service};
pub use profile::{ExternalProfile, Profile, transform_url};
pub use redact::redacted_url;
pub use trace_limit::TraceLimit;
pub use wire::{Action, DecodeError, ErrorKind, Extensions, Id, Message, Name, Payload, PayloadError, RequestInfo};
