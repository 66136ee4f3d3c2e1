//! Room for the messages that are being put together.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How many of the largest messages are put together at once.
pub(super) const LARGEST_MESSAGES: usize = 4;
/// The unit in which room is counted.
const UNIT: usize = 1024;

/// Room shared by the sessions of an engine with all replicas of a plugin. A plugin can make replicas up, so what it leaves
/// incomplete must not grow with their number.
///
/// Each message takes the room for its whole length before it is put together: parts of several messages could otherwise
/// fill the room together, and none would ever be complete. Sessions get it in the order in which they ask.
#[derive(Debug, Clone)]
pub(crate) struct Room(Arc<Semaphore>);

/// Kept as long as the room is taken.
pub(crate) type Taken = OwnedSemaphorePermit;

impl Room {
    /// For messages of up to `max_message` bytes.
    pub(crate) fn new(max_message: usize) -> Room {
        let units = max_message.div_ceil(UNIT).saturating_mul(LARGEST_MESSAGES);
        Room(Arc::new(Semaphore::new(units.min(Semaphore::MAX_PERMITS))))
    }
}

type Taking = Pin<Box<dyn Future<Output = Option<Taken>> + Send>>;

/// A session's place in the line for room.
#[derive(derive_more::Debug)]
pub(crate) struct Line {
    room: Room,
    #[debug("{}", waiting.is_some())]
    waiting: Option<Taking>,
}

impl Line {
    pub(crate) fn new(room: Room) -> Line {
        Line { room, waiting: None }
    }

    /// Ready when there is room for a message of this length. Until then it must be asked for the same message.
    pub(crate) fn poll_take(&mut self, cx: &mut Context<'_>, length: usize) -> Poll<Option<Taken>> {
        let waiting = self.waiting.get_or_insert_with(|| {
            let (room, units) = (Arc::clone(&self.room.0), u32::try_from(length.div_ceil(UNIT)).unwrap_or(u32::MAX));
            Box::pin(async move { room.acquire_many_owned(units).await.ok() })
        });
        let taken = waiting.as_mut().poll(cx);
        if taken.is_ready() {
            self.waiting = None;
        }
        taken
    }

    /// The message needs no room any more.
    pub(crate) fn leave(&mut self) {
        self.waiting = None;
    }
}
