//! An engine and its plugins call each other's methods and subscribe to each other's events, wherever they run.
//!
//! This crate contains everything except the transports, which are separate crates: `transport-ws` (websockets),
//! `transport-ipc` (child processes and local sockets), `transport-socketio` (socket.io), `transport-nats` (replicas behind a NATS
//! server), `transport-worker` (threads) and `transport-web` (a browser's frames and workers).
//!
//! # Quick start
//!
//! `Cargo.toml` also needs `tokio` with the features `macros` and `rt-multi-thread`.
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
//!     // The host acts as a plugin too: calls and subscriptions always come from a plugin.
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
//! Here the calculator runs in the host's process. To move it behind a websocket, serve it from another program with
//! `transport_ws::serve("127.0.0.1:4000", calculator)`, and register
//! `transport_ws::plugin("calculator", "ws://127.0.0.1:4000")` with the engine instead. Nothing else changes.
//!
//! # Concepts
//!
//! - A [`Plugin`] is a value: a name, a table of methods, and hooks. The same value can be registered with an engine or
//!   served by a separate program.
//! - An [`Engine`] finds plugins by name, and routes every call and event between them. A registered plugin is inactive
//!   until it is activated by the host ([`PluginManager::activate`]), by another plugin, or by the first call to it.
//! - A [`PluginClient`] is a plugin's handle: it calls, emits and listens in that plugin's name, both in the engine's
//!   process and at the other end of a link.
//! - A *connector* makes [`Link`]s: [`PluginConnector`] is the engine's side of a transport, [`ClientConnector`] the
//!   plugin's. "Client" is the term of the published packages: the plugin is the engine's client, even where it runs
//!   the server.
//! - The *manager* is a built-in plugin of every engine. Plugins request profiles and activations from it; the host uses
//!   [`Engine::manager`].
//!
//! # Where to look
//!
//! To write a plugin:
//! - [`Plugin`], [`Service`]; [`Method`] documents which functions can be methods, [`Reply`] what they can return, and
//!   [`Json`] returns any type, also as a typed error. [`Context`] describes a call, [`Rest`] takes any arguments.
//! - [`PluginClient`] to call others ([`call`](PluginClient::call)), to emit ([`emit`](PluginClient::emit)) and to
//!   listen ([`on`](PluginClient::on), or [`events`](PluginClient::events), which returns an [`EventStream`]).
//! - [`serve()`] and [`connect()`] put it behind a transport, [`Serving::until`] stops it gracefully, [`ClientConfig`]
//!   has its limits.
//!
//! To write a host:
//! - [`Engine`], [`EngineBuilder`], [`PluginManager`], [`Registration`], and [`PluginOptions`] with the limits of one
//!   plugin.
//! - Permissions: [`EngineBuilder::access_rule`] with [`Access`] and [`Operation`]; [`Policy`].
//! - [`LinkState`] is the state of a plugin's link, [`LinkEnd`] how it ended.
//!
//! Errors: [`CallError`] is the error of a call, [`Refusal`] the reason why the engine refused it, [`Fault`] an error
//! returned by a method. [`RegisterError`], [`ActivateError`], [`UpdateError`] and [`ServiceError`] belong to other
//! operations.
//!
//! To write a transport:
//! - [`Link`] and its contract; [`FramedLink`] makes one from any stream and sink; it carries [`Message`]s with [`Id`]s
//!   and [`Payload`]s. [`FailedWrite`], [`Inbox`], [`StallDetector`], [`ReconnectDelays`], [`redacted_url()`],
//!   [`Excerpt`], [`TraceLimit`] and the module [`runtime`] are shared utilities.
#![cfg_attr(feature = "stp", doc = "\nSketch-thru-Plan: module [`stp`] (feature `stp`).")]
//!
//! # Guides
//!
//! In the workspace, `docs/`:
//!
//! - Test your plugin: `test-a-plugin.md`, with the in-memory transport of the crate `conformance`.
//! - Write your own connector: `write-your-own-connector.md`, with the test suite of the crate `conformance`.
//! - Structure and invariants of this crate: `architecture.md`.
//!
//! # Runtime
//!
//! Requires a tokio runtime with its time enabled. Tokio's I/O driver is not needed. In a browser
//! (`wasm32-unknown-unknown`) there is no tokio runtime: see the module [`runtime`].
#![cfg_attr(docsrs, feature(doc_cfg))]
// For links from other crates' pages: Cargo may document them before this crate exists, and rustdoc cannot resolve them.
#![doc(html_root_url = "../")]

mod bad_setting;
mod client;
mod connector;
mod engine;
mod error;
mod excerpt;
mod framed;
mod guard;
mod link;
mod memory_budget;
mod plugin;
mod profile;
mod reconnect_delays;
mod redact;
pub mod runtime;
mod session;
#[cfg(feature = "stp")]
pub mod stp;
mod sync;
mod trace_limit;
mod wire;
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

pub use async_trait::async_trait;
pub use bad_setting::BadSetting;
pub use client::{CallResult, ClientConfig, Event, EventStream, PluginClient, Serving, connect, serve};
pub use connector::{
    ClientConnector, ConnectError, FailedWrite, Inbox, Link, LinkEnd, PluginConnector, PluginPanicked, SendError,
    Traffic,
};
pub use engine::{
    Access, CallOutcome, Choice, DefaultPolicy, Direction, Engine, EngineBuilder, Interests, LinkState, Observation,
    ObservedCall, Observer, Observing, Operation, PlaceChange, Places, PluginManager, PluginOptions, Policy,
    Registration, Replicas, RunningCall, RunningCalls, UrlTransform,
};
pub use error::{
    ActivateError, CallError, Fault, LendError, LinkLost, Refusal, RegisterError, ServiceError, UpdateError,
    WrongResult,
};
pub use excerpt::Excerpt;
pub use framed::FramedLink;
pub use link::{QueueLimits, StallDetector};
pub use plugin::{Context, IntoArgs, Json, Listener, Method, Parameter, Parameters, Plugin, Reply, Rest, Service};
pub use profile::{ExternalProfile, Profile, transform_url};
pub use reconnect_delays::ReconnectDelays;
pub use redact::redacted_url;
pub use trace_limit::TraceLimit;
pub use wire::{
    Action, CallChain, DecodeError, ErrorKind, Extensions, Id, Inherited, Message, Name, Payload, PayloadError,
    RequestInfo, TraceContext,
};
