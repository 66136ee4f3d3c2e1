//! Where a plugin runs, and its limits.

use std::time::Duration;

use connector_core::ClientConfig;

/// Where a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    /// In a thread of its own, named after the plugin, with a current-thread runtime of its own (all of tokio's drivers
    /// that are compiled in): a method may block.
    #[default]
    Thread,
    /// In a task on the engine's runtime: cheaper to reach, but a method must not block.
    Task,
}

/// Where a plugin runs, and its limits.
///
/// ```
/// use std::time::Duration;
/// use transport_worker::{Placement, WorkerConfig};
///
/// let config = WorkerConfig::default().placement(Placement::Task).exit_timeout(Duration::from_millis(500));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Where the plugin runs. Default [`Placement::Thread`].
    pub placement: Placement,
    /// Messages that may wait in the link, each way, before it pushes back on its sender; the receiver has taken up to
    /// as many. 0 is taken as 1. Default 256.
    pub capacity: usize,
    /// How long the plugin may take to end once its link is closed, its `on_deactivation` and its `spawn_blocking` work
    /// included. What waits (`await`) is dropped then; what still blocks its thread 100 ms later cannot be ended, and
    /// is traced as a warning. The core waits for this up to 10 s. Default 2 s.
    pub exit_timeout: Duration,
    /// Bounds and times of the plugin's end.
    pub client: ClientConfig,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig {
            placement: Placement::default(),
            capacity: 256,
            exit_timeout: Duration::from_secs(2),
            client: ClientConfig::default(),
        }
    }
}

impl WorkerConfig {
    /// Sets [`placement`](WorkerConfig::placement).
    #[must_use]
    pub fn placement(mut self, placement: Placement) -> Self {
        self.placement = placement;
        self
    }

    /// Sets [`capacity`](WorkerConfig::capacity).
    #[must_use]
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages;
        self
    }

    /// Sets [`exit_timeout`](WorkerConfig::exit_timeout).
    #[must_use]
    pub fn exit_timeout(mut self, limit: Duration) -> Self {
        self.exit_timeout = limit;
        self
    }

    /// Sets [`client`](WorkerConfig::client).
    #[must_use]
    pub fn client(mut self, config: ClientConfig) -> Self {
        self.client = config;
        self
    }
}
