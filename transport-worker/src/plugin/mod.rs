//! The engine's end: starts its plugin in a thread or a task and supervises it.

mod connector;
mod link;
#[cfg(feature = "client")]
mod pair;
mod spawn;
mod worker;

pub use connector::{WorkerConnector, worker, worker_with};
#[cfg(feature = "client")]
pub use pair::{PairConnector, pair};
