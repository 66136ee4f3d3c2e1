//! One call over a link, seen from whoever waits for it.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{Outbox, Queued};
use crate::connector::LinkEnd;
use crate::error::CallError;
use crate::payload::Payload;

/// Tells a caller how its call ended; dropped without a word, the link's task is gone.
pub(crate) type Reply = oneshot::Sender<Result<Payload, CallError>>;

/// Asks the link's task to forget a call, and to tell a native end.
pub(crate) struct TakeBack(pub(crate) i64);

/// Sends a call once the queue has room (or at once, if `wait` is false) and waits for its outcome. Dropping the future
/// at any point takes the call back.
///
/// # Errors
/// As the outer result: the link is down, or its task is gone.
pub(crate) async fn call_over<C: Queued + From<TakeBack>>(
    outbox: &Outbox<C>,
    id: i64,
    wait: bool,
    call: impl FnOnce(Reply) -> C,
) -> Result<Result<Payload, CallError>, Arc<LinkEnd>> {
    let (reply, answer) = oneshot::channel();
    // Made before anything is sent, so that there is no gap in which a dropped call stays behind.
    let mut guard = Guard { outbox, id: Some(id) };
    if wait {
        outbox.room().await;
    }
    let outcome = match outbox.push(call(reply)) {
        Ok(()) => answer.await.map_err(|_| outbox.down().unwrap_or_else(|| LinkEnd::Disconnected.into())),
        Err(end) => Err(end),
    };
    guard.id = None;
    outcome
}

struct Guard<'a, C: Queued + From<TakeBack>> {
    outbox: &'a Outbox<C>,
    id: Option<i64>,
}

impl<C: Queued + From<TakeBack>> Drop for Guard<'_, C> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // If the link is down there is nothing to take back.
            let _ = self.outbox.push(TakeBack(id).into());
        }
    }
}
