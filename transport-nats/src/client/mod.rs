//! The plugin's end: a replica.

mod error;
mod replica;
mod server;

pub use error::ServeError;
pub use server::{NatsServer, serve};
