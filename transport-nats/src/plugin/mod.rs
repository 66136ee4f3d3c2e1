//! The engine's end.

mod connector;
mod known;
mod open;
mod replicas;

pub use connector::{NatsConnector, plugin};
pub use known::ReplicaChange;
pub use replicas::{NatsReplicas, replicas};
