//! The rustls types in this crate's configurations.
//!
//! Build them from here and the version always matches. [`rustls`](rustls) is the whole crate, for certificates, keys
//! and builders.
//!
#![cfg_attr(feature = "plugin", doc = "```")]
#![cfg_attr(not(feature = "plugin"), doc = "```ignore")]
//! use std::sync::Arc;
//! use transport_ws::WsConnectorConfig;
//! use transport_ws::tls::{ClientConfig, rustls};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let roots = rustls::RootCertStore::empty(); // Add the authority that issued the plugin's certificate.
//! let provider = Arc::new(rustls::crypto::ring::default_provider());
//! let tls = ClientConfig::builder_with_provider(provider)
//!     .with_safe_default_protocol_versions()?
//!     .with_root_certificates(roots)
//!     .with_no_client_auth();
//! let config = WsConnectorConfig::default().tls(Arc::new(tls));
//! # Ok(())
//! # }
//! ```

#[doc(no_inline)]
pub use rustls;
#[cfg(feature = "plugin")]
#[doc(no_inline)]
pub use rustls::ClientConfig;
#[cfg(feature = "client")]
#[doc(no_inline)]
pub use rustls::ServerConfig;
