//! The engine's end.

mod connector;
mod open;

pub use connector::{NatsConnector, plugin};
