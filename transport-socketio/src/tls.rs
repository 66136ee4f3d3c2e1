//! The TLS types in this crate's configurations.
//!
//! Build them from here and the versions always match. The plugin's end uses [`rustls`](https://docs.rs/rustls), and the
//! engine's end uses [`native_tls`](https://docs.rs/native-tls); both are re-exported whole, for certificates and
//! builders.
//!
#![cfg_attr(feature = "plugin", doc = "```")]
#![cfg_attr(not(feature = "plugin"), doc = "```ignore")]
//! use transport_socketio::SocketIoConnectorConfig;
//! use transport_socketio::tls::{TlsConnector, native_tls};
//!
//! # fn main() -> Result<(), native_tls::Error> {
//! let tls = TlsConnector::builder().min_protocol_version(Some(native_tls::Protocol::Tlsv12)).build()?;
//! let config = SocketIoConnectorConfig::default().tls(tls);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "plugin")]
#[doc(no_inline)]
pub use native_tls::{self, TlsConnector};
#[cfg(feature = "client")]
#[doc(no_inline)]
pub use tokio_rustls::rustls::{self, ServerConfig};
