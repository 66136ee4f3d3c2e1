//! Plugins in the engine's own process, each in a thread of its own, or in a task beside the engine.
//!
//! - [`worker`] (feature `plugin`) is a plugin to register: it starts a thread with a runtime of its own, or a task
//!   ([`Placement`]), and ends and joins it. [`WorkerConnector`] is the connector in it.
//! - [`pair`] (features `plugin` and `client`) is for a host that runs the plugin on a thread or runtime of its own.
//! - [`WorkerConfig`] holds the limits and times.
//!
//! Both features are on by default.
//!
//! # Example
#![cfg_attr(feature = "plugin", doc = "```")]
#![cfg_attr(not(feature = "plugin"), doc = "```ignore")]
//! use connector_core::{Engine, Plugin};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new();
//! let local = engine.register(Plugin::new("local"))?;
//! engine.register(transport_worker::worker("shouter", || {
//!     Plugin::new("shouter").method("shout", |text: String| async move { text.to_uppercase() })
//! }))?;
//! engine.manager().activate("local").await?;
//! assert_eq!(local.call::<String>("shouter", "shout", ("hello".to_owned(),)).await?, "HELLO");
//! engine.shutdown().await; // joins the thread
//! # Ok(())
//! # }
//! ```
//!
//! # Values move
//! Nothing is serialized on the way. Arguments that are handed over as the very tuple of types that the method takes
//! arrive as those values; so does a result that is read as the type that the method gives. Where the types at both
//! ends differ, the value is converted once, by way of JSON. An event that is listened to is remembered by the engine
//! and may have many listeners: it is converted once and read by each.
//!
//! # Code that blocks
//! A plugin in a thread may block it (`std::thread::sleep`, a lock, a long computation): the engine and all other
//! plugins go on. What the same plugin does beside it waits, and so do a cancel and the end: the thread cannot be ended
//! while it blocks ([`WorkerConfig::exit_timeout`]).
//!
//! A call may block the thread for as long as it may run
//! ([`PluginOptions::queue_timeout`](connector_core::PluginOptions::queue_timeout)). A thread that blocks elsewhere, or
//! for longer, counts as silent and loses its link within 20 s
//! ([`PluginOptions::health_interval`](connector_core::PluginOptions::health_interval)); another is started once it has
//! ended.
//!
//! Code that blocks and wants to call others meanwhile runs on a blocking thread of the plugin's runtime, so that the
//! plugin's own thread can carry the call:
//!
#![cfg_attr(feature = "plugin", doc = "```")]
#![cfg_attr(not(feature = "plugin"), doc = "```ignore")]
//! use connector_core::{CallError, Context, Plugin};
//! use tokio::runtime::Handle;
//! use tokio::task::spawn_blocking;
//!
//! let plugin = Plugin::new("blocking").method("ask", |ctx: Context, question: String| async move {
//!     let runtime = Handle::current();
//!     let work = spawn_blocking(move || {
//!         // Blocks as it likes; a call is waited for like this.
//!         runtime.block_on(ctx.client().call::<String>("local", "answer", (question,)))
//!     });
//!     work.await.map_err(|panic| panic.to_string())?.map_err(|error: CallError| error.to_string())
//! });
//! ```
//!
//! # Ends
//! A method's panic is that call's error. Any other panic in the plugin (of the function that makes it, or of a hook)
//! ends its link, tells why, and the engine starts the plugin anew. This needs `panic = "unwind"`, the default.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "client")]
mod client;
mod config;
#[cfg(feature = "plugin")]
mod link;
#[cfg(feature = "plugin")]
mod pipe;
#[cfg(feature = "plugin")]
mod plugin;
#[cfg(feature = "plugin")]
mod sync;

#[cfg(feature = "client")]
pub use client::WorkerClient;
pub use config::{Placement, WorkerConfig};
#[cfg(all(feature = "client", feature = "plugin"))]
pub use plugin::{PairConnector, pair};
#[cfg(feature = "plugin")]
pub use plugin::{WorkerConnector, worker, worker_with};

#[cfg(all(doctest, feature = "client", feature = "plugin"))]
#[doc = include_str!("../README.md")]
mod readme {}
