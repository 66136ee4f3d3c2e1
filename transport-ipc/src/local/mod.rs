//! Local sockets: Unix sockets, and named pipes on Windows. The engine serves or the plugin does.
//!
//! - The plugin serves: [`serve`] there, [`plugin()`] at the engine. A plugin that is already running can be attached to,
//!   by several engines at once, and survives them.
//! - The engine serves: [`LocalServer::accept_link`] there under a name of its own ([`LocalName::unique`]), [`dial`] at
//!   the plugin.
//!
//! # Safe by default
//! A bare name is a socket in a folder of the user's that nobody else may enter; the socket's own mode is 0600. Either
//! end looks at the other's user and hangs up on another's. What a crashed server left behind is reclaimed, a live
//! server is never displaced. Lines, connections and times are bounded.
//!
//! On Windows only the creator of the pipe may open it, and a name that is taken cannot be taken again; who serves a
//! name cannot be told there.
//!
//! # Example
#![cfg_attr(all(feature = "client", feature = "plugin"), doc = "```")]
#![cfg_attr(not(all(feature = "client", feature = "plugin")), doc = "```ignore")]
//! use connector_core::{Engine, Plugin};
//! use transport_ipc::local;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("calculator").display().to_string();
//! # let name = if cfg!(unix) { path.as_str() } else { "calculator" };
//! // In the plugin's program, with a name such as "calculator":
//! let calculator = Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b });
//! let (_url, serving) = local::serve(name, move || calculator.clone())?;
//! tokio::spawn(serving);
//!
//! // In the host's:
//! let engine = Engine::new();
//! let host = engine.register(Plugin::new("host"))?;
//! engine.register(local::plugin("calculator", name))?;
//! engine.manager().activate("host").await?;
//! assert_eq!(host.call::<i64>("calculator", "add", (1, 2)).await?, 3);
//! # Ok(())
//! # }
//! ```

mod config;
mod connector;
mod error;
mod name;
#[cfg_attr(unix, path = "unix/mod.rs")]
#[cfg_attr(windows, path = "windows.rs")]
mod os;
mod server;

pub use config::LocalConfig;
#[cfg(feature = "client")]
pub use connector::dial;
#[cfg(feature = "plugin")]
pub use connector::{LocalConnector, plugin};
pub use error::BindError;
pub use name::{LocalName, NameError};
pub use server::LocalServer;
#[cfg(feature = "client")]
pub use server::serve;
