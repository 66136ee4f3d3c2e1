//! What both ends of a link share: the queue in front of it, and the task that owns it.

mod answers;
mod drive;
mod outbox;
mod tasks;
mod under_way;

pub(crate) use answers::Answers;
pub(crate) use drive::{Head, Side, close, drive};
pub(crate) use outbox::{Outbox, Queued};
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
    /// How long a link may stay full before it is closed as too slow. Default 1 s.
    pub patience: Duration,
}

/// 1,024 messages, at the very most 65,536 or 64 MiB, 1 s of patience.
impl Default for QueueLimits {
    fn default() -> Self {
        QueueLimits { messages: 1024, most_messages: 65_536, most_bytes: 64 << 20, patience: Duration::from_secs(1) }
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

    /// Sets [`patience`](QueueLimits::patience).
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }
}
