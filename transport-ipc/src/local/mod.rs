//! Local sockets: Unix sockets, and named pipes on Windows. Either the plugin or the engine serves.
//!
//! - The plugin serves: [`serve`] in its program, [`plugin()`] at the engine. Several engines at once can attach to a
//!   running plugin, which outlives them.
//! - The engine serves: [`LocalServer::accept_link`] with a unique name ([`LocalName::unique`]), and the plugin calls
//!   [`dial`].
//!
//! # Safe by default
//! A bare name is a socket in a directory that only its user may enter; the socket's mode is 0600. Either end checks the
//! other's user and disconnects from another user's process. A crashed server's socket is reclaimed; a live server is
//! never displaced. Lines, connections and waits are bounded.
//!
//! | what | default | setting |
//! | --- | --- | --- |
//! | links | 64; one without the plugin handshake gives way after 75 ms | [`LocalConfig::max_connections`] |
//! | plugin handshake of a link | 10 s | `ClientConfig::handshake_timeout` |
//! | bytes received before the plugin handshake | 64 KiB in total | none |
//! | one message | 16 MiB | [`IpcConfig::max_message`](crate::IpcConfig::max_message) |
//!
//! Processes of the user that have not performed the plugin handshake occupy at most `max_connections` × 192 KiB: 12 MiB
//! by default.
//!
//! On Windows only the creator of the pipe may open it, and a name in use cannot be taken again; the user behind a server
//! cannot be checked there.
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
pub use connector::{LocalConnector, plugin, plugin_with};
pub use error::BindError;
pub use name::{LocalName, NameError};
pub use server::LocalServer;
#[cfg(feature = "client")]
pub use server::{serve, serve_with};
