//! Plugins in the engine's process, each in its own thread, or in a task beside the engine.
//!
//! - [`worker`] (feature `plugin`) is a plugin to register: it starts a thread with its own runtime, or a task
//!   ([`Placement`]), and ends and joins it. [`WorkerConnector`] is its connector.
//! - [`pair`] (features `plugin` and `client`) is for a host that runs the plugin on a thread or runtime of the host.
//! - [`WorkerConfig`] holds the limits and timeouts.
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
//! Nothing is serialized. Arguments passed as exactly the tuple of types that the method takes arrive as those values,
//! and so does a result that is read as the type that the method returns. If the types at the two ends differ, the value
//! is converted once, through JSON. The engine stores a subscribed event, which may have many listeners: it is converted
//! once and read by each.
//!
//! # Code that blocks
//! A plugin in a thread may block it (`std::thread::sleep`, a lock, a long computation): the engine and all other
//! plugins continue. The plugin's other work waits, and so do cancellation and shutdown: the thread cannot be ended while
//! it blocks ([`WorkerConfig::exit_timeout`]).
//!
//! A call may block the thread for as long as it may run
//! ([`PluginOptions::queue_timeout`](connector_core::PluginOptions::queue_timeout)). A thread that blocks outside a call,
//! or for longer, counts as silent and loses its link within 20 s
//! ([`PluginOptions::health_interval`](connector_core::PluginOptions::health_interval)); another is started once it has
//! ended.
//!
//! Blocking code that also calls other plugins runs on a blocking thread of the plugin's runtime, so that the plugin's
//! own thread can carry the call:
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
//!         // May block; this is how it waits for a call.
//!         runtime.block_on(ctx.client().call::<String>("local", "answer", (question,)))
//!     });
//!     work.await.map_err(|panic| panic.to_string())?.map_err(|error: CallError| error.to_string())
//! });
//! ```
//!
//! # Ends
//! A method's panic is the error of its call. Any other panic in the plugin (in the function that makes it, or in a hook)
//! ends its link with the panic's text, and the engine starts the plugin again. This requires `panic = "unwind"`, the
//! default.
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
