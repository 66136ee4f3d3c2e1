//! What waits for a viewer, bounded in bytes.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Bytes that may wait. A single message may be larger.
const MAX_BYTES: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    pub(super) filled: Notify,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<String>,
    bytes: usize,
}

/// The outbox is full.
#[derive(Debug)]
pub(super) struct Full;

impl Outbox {
    /// # Errors
    /// The outbox is full. The message is dropped.
    pub(super) fn push(&self, message: String) -> Result<(), Full> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if !queue.messages.is_empty() && queue.bytes + message.len() > MAX_BYTES {
            return Err(Full);
        }
        queue.bytes += message.len();
        queue.messages.push_back(message);
        drop(queue);
        self.filled.notify_one();
        Ok(())
    }

    pub(super) fn pop(&self) -> Option<String> {
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let message = queue.messages.pop_front()?;
        queue.bytes -= message.len();
        Some(message)
    }
}
