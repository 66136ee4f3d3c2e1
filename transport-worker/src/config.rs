//! Where a plugin runs, and its limits.

use std::time::Duration;

use connector_core::ClientConfig;

/// Of four such parts, two for each direction, one link's messages in transit take 32 MiB: what the other transports set
/// aside for two messages of 16 MiB.
pub(crate) const DEFAULT_CAPACITY_BYTES: usize = 8 << 20;

/// Where a plugin runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Placement {
    /// In its own thread, named after the plugin, with its own current-thread runtime (and all of tokio's drivers that are
    /// compiled in): a method may block.
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
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerConfig {
    /// Where the plugin runs. Default [`Placement::Thread`].
    pub placement: Placement,
    /// Messages that may be queued in the link, each way, before it pushes back on its sender; the receiver may hold as many
    /// again. 0 means 1. Default 256.
    pub capacity: usize,
    /// The same in bytes. The message that reaches the limit is queued whole, so that one of any size can be sent. A value
    /// counts the texts and numbers in it; one that waits behind no other message does not count. 0 means 1. Default 8 MiB.
    pub capacity_bytes: usize,
    /// How long the plugin may take to end once its link is closed, including its `on_deactivation` and `spawn_blocking`
    /// work. Pending futures are dropped then; code that still blocks its thread 100 ms later cannot be ended and is traced
    /// as a warning. The core waits up to 10 s. Default 2 s.
    pub exit_timeout: Duration,
    /// Limits and timeouts of the plugin's end.
    pub client: ClientConfig,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        WorkerConfig {
            placement: Placement::default(),
            capacity: 256,
            capacity_bytes: DEFAULT_CAPACITY_BYTES,
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

    /// Sets [`capacity_bytes`](WorkerConfig::capacity_bytes).
    #[must_use]
    pub fn capacity_bytes(mut self, bytes: usize) -> Self {
        self.capacity_bytes = bytes;
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
