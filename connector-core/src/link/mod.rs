//! What both ends of a link share: the queue in front of it, and the task that owns it.

mod answers;
mod drive;
mod outbox;
mod standstill;
mod tasks;
mod under_way;

pub(crate) use answers::Answers;
pub(crate) use drive::{Head, Side, close, drive};
pub(crate) use outbox::{Outbox, Queued};
pub use standstill::Standstill;
pub(crate) use tasks::{Ended, Tasks};
pub(crate) use under_way::{Reply, TakeBack, UnderWay};

use std::time::Duration;

/// Bounds of a link's queue. The defaults suit links of any speed; see [`Default`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct QueueLimits {
    /// Messages that may wait for the link before it counts as full. Default 1,024. A plugin's own `emit` waits at this
    /// mark; while a link is down, this many notifications are kept for it.
    pub messages: usize,
    /// Messages that may wait at the very most: past it the link is closed as too slow at once, since what a
    /// reader of another link has to pass on cannot wait. Default 65,536.
    pub most_messages: usize,
    /// Bytes of payload that may wait at the very most, treated likewise. Default 64 MiB.
    pub most_bytes: usize,
    /// How long a link whose queue is full may take nothing at all before it is closed as too slow. Default 10 s.
    ///
    /// However slowly it takes what waits, a link that makes progress is not closed: a message that it takes counts, a
    /// flush that completes, and every byte that it reports in [`Link::traffic`](crate::Link::traffic). Of a transport
    /// that reports no bytes, each message has this long to leave. A standstill is noticed at most a quarter of this
    /// late; [`Duration::MAX`] waits for ever, up to the bounds above.
    pub stall_timeout: Duration,
}

/// 1,024 messages, at the very most 65,536 or 64 MiB, and 10 s without progress.
impl Default for QueueLimits {
    fn default() -> Self {
        QueueLimits {
            messages: 1024,
            most_messages: 65_536,
            most_bytes: 64 << 20,
            stall_timeout: Duration::from_secs(10),
        }
    }
}

impl QueueLimits {
    /// Sets [`messages`](QueueLimits::messages).
    #[must_use]
    pub fn messages(mut self, messages: usize) -> Self {
        self.messages = messages;
        self
    }

    /// Sets [`most_messages`](QueueLimits::most_messages).
    #[must_use]
    pub fn most_messages(mut self, messages: usize) -> Self {
        self.most_messages = messages;
        self
    }

    /// Sets [`most_bytes`](QueueLimits::most_bytes).
    #[must_use]
    pub fn most_bytes(mut self, bytes: usize) -> Self {
        self.most_bytes = bytes;
        self
    }

    /// Sets [`stall_timeout`](QueueLimits::stall_timeout).
    #[must_use]
    pub fn stall_timeout(mut self, limit: Duration) -> Self {
        self.stall_timeout = limit;
        self
    }
}
