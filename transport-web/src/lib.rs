//! Plugin connectors in a browser: plugins in iframes, web workers and behind message ports, with Rust at either end.
//!
//! The crate is empty on other targets than `wasm32-unknown-unknown`, except for [`KEEP_MESSAGES`].
#![cfg_attr(
    all(target_family = "wasm", target_os = "unknown", feature = "client", feature = "plugin"),
    doc = "
- [`iframe`] and [`worker`] (feature `plugin`) are plugins to register with an engine in a page: a frame that the engine
  makes, removes and replaces when it is lost, and a web worker. [`port`], [`shared_worker`] and [`websocket`] reach
  plugins behind a [`MessagePort`](web_sys::MessagePort), in a shared worker, and outside of the browser.
- [`serve`] (feature `client`) is the plugin's end: it serves a plugin to the engine of the page that contains this frame,
  or that started this worker. [`serve_port`] serves it behind a message port.
- [`IframeConfig`], [`WorkerConfig`] and [`ClientConfig`] hold the settings.
"
)]
//! The other end may be Rust or the published JavaScript packages: messages are the published objects, by structured
//! clone.
//!
//! # A plugin in a frame or a worker
//! A frame's page or a worker's script loads its WebAssembly while the engine may already be sending. The script
//! `keep-messages.js` ([`KEEP_MESSAGES`]) keeps those messages:
//!
//! ```html
//! <script src="keep-messages.js"></script>
//! <script type="module">
//!   import init from './plugin.js'
//!   init()
//! </script>
//! ```
//!
//! and the program serves its plugin:
//!
//! ```ignore
//! use connector_core::Plugin;
//! use wasm_bindgen::prelude::wasm_bindgen;
//!
//! #[wasm_bindgen(start)]
//! fn start() -> Result<(), transport_web::NoEngine> {
//!     let plugin = Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b });
//!     transport_web::serve(move || plugin.clone())
//! }
//! ```
//!
//! # An engine in a page
//! ```ignore
//! use connector_core::{Engine, Plugin};
//!
//! let engine = Engine::new();
//! let page = engine.register(Plugin::new("page"))?;
//! engine.register(transport_web::iframe("calculator", "https://plugins.example/calculator.html"))?;
//! engine.register(transport_web::worker("search", "/search.js"))?;
//! engine.manager().activate("page").await?;
//! let sum: i64 = page.call("calculator", "add", (1, 2)).await?;
//! ```
//!
//! # What a link promises
//! - Messages from other windows or other origins are ignored. Values that are not messages are dropped and traced.
//! - `postMessage` has no back-pressure: a link accepts every message at once. Unread received messages are bounded
//!   ([`Inbox`](https://docs.rs/connector-core/latest/connector_core/struct.Inbox.html)); exceeding the bound ends the
//!   link.
//! - A link ends when its frame loads another page, its worker's script fails, or its port closes. The engine then makes
//!   a new one. The loss of a port's other end, as of a terminated worker, is only detected by browsers with the port's
//!   `close` event; without it, calls to that plugin time out.
//! - A panic aborts the plugin's WebAssembly program. The plugin's end reports it to the engine, which ends the calls as
//!   lost and starts a new frame or worker.
//! - The plugins of this crate are registered with their own
//!   [`PluginOptions`](https://docs.rs/connector-core/latest/connector_core/struct.PluginOptions.html) instead of the
//!   engine's: the handshake may take 15 s, and links in a page are not probed for silence, because a page in the
//!   background rarely runs its timers.
#![cfg_attr(docsrs, feature(doc_cfg))]

/// The script `keep-messages.js`, for programs that write a plugin's files. It must run before any other script of the
/// frame or the worker.
pub const KEEP_MESSAGES: &str = include_str!("../js/keep-messages.js");

#[cfg(all(target_family = "wasm", target_os = "unknown", feature = "client"))]
mod client;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod codec;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod config;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod events;
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
mod link;
#[cfg(all(target_family = "wasm", target_os = "unknown", feature = "plugin"))]
mod plugin;

#[cfg(all(target_family = "wasm", target_os = "unknown", feature = "client"))]
pub use client::{ClientConfig, NoEngine, WebClient, serve, serve_port, serve_with};
#[cfg(all(target_family = "wasm", target_os = "unknown"))]
pub use config::LinkConfig;
#[cfg(all(target_family = "wasm", target_os = "unknown", feature = "plugin"))]
pub use plugin::{
    IframeConfig, IframeConnector, Mount, PortConnector, View, WebSocketConnector, WorkerConfig, WorkerConnector,
    iframe, iframe_with, port, shared_worker, websocket, worker, worker_with,
};
