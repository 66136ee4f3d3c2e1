//! The plugin's end: a replica.

mod allowed;
mod error;
mod replica;
mod server;

#[cfg(feature = "service")]
pub(crate) use allowed::check_allowed;
pub use error::ServeError;
pub use server::{NatsServer, serve};
