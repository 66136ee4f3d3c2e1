//! The rustls types in this crate's configuration.
//!
//! Build them from here and the version always matches. `rustls` is the whole crate, for certificates, keys
//! and builders.
//!
//! ```
//! use std::sync::Arc;
//! use transport_nats::NatsConfig;
//! use transport_nats::tls::{ClientConfig, rustls};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let roots = rustls::RootCertStore::empty(); // Add the authority that issued the server's certificate.
//! let provider = Arc::new(rustls::crypto::ring::default_provider());
//! let tls = ClientConfig::builder_with_provider(provider)
//!     .with_safe_default_protocol_versions()?
//!     .with_root_certificates(roots)
//!     .with_no_client_auth();
//! let config = NatsConfig::new("tls://nats.example:4222").tls(Arc::new(tls));
//! # Ok(())
//! # }
//! ```

#[doc(no_inline)]
pub use rustls;
#[doc(no_inline)]
pub use rustls::ClientConfig;
