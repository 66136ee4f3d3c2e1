//! What both ends of a link share: the queue in front of it, and the task that owns it.

mod drive;
mod outbox;
mod pending_call;
mod response_queue;
mod stall;
mod task_set;

pub(crate) use drive::{Endpoint, close, drive};
pub(crate) use outbox::{Outbox, Queued};
pub(crate) use pending_call::{PendingCall, Reply, TakeBack};
pub(crate) use response_queue::ResponseQueue;
pub use stall::StallDetector;
pub(crate) use task_set::{Ended, TaskSet};

use std::time::Duration;

/// Limits of the queue in front of a link. The defaults suit links of any speed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueueLimits {
    /// How many messages may wait for the link before the queue counts as full. From then on a plugin's own `call` and
    /// `emit` wait for room. While a plugin's link is down, the engine keeps this many events for it, the newest.
    /// Default 1,024.
    pub capacity: usize,
    /// How many messages may wait at the very most. Past that the link is closed at once, as
    /// [`LinkEnd::TooSlow`](crate::LinkEnd::TooSlow), because a reader of another link that has to pass a message on
    /// cannot wait. Default 65,536.
    pub max_messages: usize,
    /// How many bytes of payload may wait at the very most, with the same consequence. Counts what is JSON already; a
    /// value handed over within the process counts nothing before it is serialized. Default 64 MiB.
    pub max_bytes: usize,
    /// How long a link whose queue is full may take nothing at all before it is closed as
    /// [`LinkEnd::TooSlow`](crate::LinkEnd::TooSlow). Default 10 s.
    ///
    /// A link that makes progress, however slowly, is not closed. A message that it takes counts as progress, a flush
    /// that completes, and every byte that it reports in [`Link::traffic`](crate::Link::traffic). If the transport
    /// reports no bytes, each message has this long to leave. A standstill is noticed at most a quarter of this late;
    /// [`Duration::MAX`] waits for ever, up to the limits above.
    pub stall_timeout: Duration,
}

/// 1,024 messages, at the very most 65,536 or 64 MiB, and 10 s without progress.
impl Default for QueueLimits {
    fn default() -> Self {
        QueueLimits {
            capacity: 1024,
            max_messages: 65_536,
            max_bytes: 64 << 20,
            stall_timeout: Duration::from_secs(10),
        }
    }
}

impl QueueLimits {
    /// Sets [`messages`](QueueLimits::capacity).
    #[must_use]
    pub fn capacity(mut self, messages: usize) -> Self {
        self.capacity = messages;
        self
    }

    /// Sets [`max_messages`](QueueLimits::max_messages).
    #[must_use]
    pub fn max_messages(mut self, messages: usize) -> Self {
        self.max_messages = messages;
        self
    }

    /// Sets [`max_bytes`](QueueLimits::max_bytes).
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets [`stall_timeout`](QueueLimits::stall_timeout).
    #[must_use]
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.stall_timeout = limit;
        self
    }
}
