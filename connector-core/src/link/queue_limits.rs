//! The limits of the queue in front of a link.

use std::time::Duration;

use crate::bad_setting::BadSetting;

/// Limits of the queue in front of a link, each at least 1. The defaults suit fast and slow links.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueLimits {
    /// How many messages may wait before the queue counts as full. From then on, a plugin's own `call` and `emit` wait
    /// for capacity. While a plugin's link is down, the engine keeps this many events for it, the newest ones. Default
    /// 1,024.
    pub capacity: usize,
    /// The hard limit for waiting messages. Beyond it the engine drops events, the oldest of the plugin with the most
    /// events in the queue. If other messages alone exceed it, the link is closed immediately with
    /// [`LinkEnd::TooSlow`](crate::LinkEnd::TooSlow), because the reader of another link that forwards a message cannot
    /// wait. Default 65,536.
    pub max_messages: usize,
    /// The hard limit for the payload bytes of waiting messages, with the same consequence. An unserialized value that
    /// has to wait counts as many bytes as its JSON. One message of any size may wait alone. Events use at most half of
    /// the link's `memory_limit` (without messages in transit) in addition. Calls are charged to the `memory_limit` of
    /// their callers' links, so those of the host itself add up to it. Default 64 MiB.
    pub max_bytes: usize,
    /// How long a link with a full queue may make no progress before it is closed with
    /// [`LinkEnd::TooSlow`](crate::LinkEnd::TooSlow). Default 10 s.
    ///
    /// A link that makes progress, however slowly, is not closed. Progress is a message accepted by the link, a
    /// completed flush, or any byte counted in [`Link::traffic`](crate::Link::traffic). If the transport does not count
    /// bytes, each message has this long to leave. A stall is detected at most a quarter of this time late.
    /// [`Duration::MAX`] waits forever, up to the limits above.
    pub stall_timeout: Duration,
}

/// 1,024 messages, hard limits of 65,536 messages and 64 MiB, and 10 s without progress.
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
    /// Sets [`capacity`](QueueLimits::capacity).
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

    /// # Errors
    /// A limit with which no message passes.
    pub(crate) fn check(&self) -> Result<(), BadSetting> {
        BadSetting::not_zero("QueueLimits::capacity", self.capacity)?;
        BadSetting::not_zero("QueueLimits::max_messages", self.max_messages)?;
        BadSetting::not_zero("QueueLimits::max_bytes", self.max_bytes)?;
        BadSetting::lasts("QueueLimits::stall_timeout", self.stall_timeout)
    }

    /// Whether a queue of this many messages and bytes counts as full.
    pub fn is_full(&self, messages: usize, bytes: usize) -> bool {
        messages >= self.capacity || bytes >= self.max_bytes
    }

    /// Whether a queue of this many messages admits another one, which brings it to `bytes` in total: within the hard
    /// limits, or of any size into an empty queue.
    pub fn admits(&self, messages: usize, bytes: usize) -> bool {
        messages < self.max_messages && (bytes <= self.max_bytes || messages == 0)
    }
}
