//! One call over a link, seen from whoever waits for it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::{Outbox, Queued};
use crate::connector::LinkEnd;
use crate::error::CallError;
use crate::wire::Payload;

/// Tells a caller how its call ended; dropped without a word, the link's task is gone.
pub(crate) type Reply = oneshot::Sender<Result<Payload, CallError>>;

/// Asks the link's task to forget a call, and to tell a native end.
pub(crate) struct TakeBack(pub(crate) i64);

/// A call that is queued or sent. Its outer error: the link is down, or its task is gone. Dropping it takes the call back.
pub(crate) struct PendingCall<'a, C: Queued + From<TakeBack>> {
    outbox: &'a Outbox<C>,
    id: i64,
    answer: oneshot::Receiver<Result<Payload, CallError>>,
    ended: bool,
}

impl<'a, C: Queued + From<TakeBack>> PendingCall<'a, C> {
    /// Queues a call, however full the queue is.
    ///
    /// # Errors
    /// The link is down.
    pub(crate) fn start(
        outbox: &'a Outbox<C>,
        id: i64,
        call: impl FnOnce(Reply) -> C,
    ) -> Result<PendingCall<'a, C>, LinkEnd> {
        let (reply, answer) = oneshot::channel();
        outbox.push(call(reply))?;
        Ok(PendingCall { outbox, id, answer, ended: false })
    }
}

impl<C: Queued + From<TakeBack>> Future for PendingCall<'_, C> {
    type Output = Result<Result<Payload, CallError>, LinkEnd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(Pin::new(&mut self.answer).poll(cx));
        self.ended = true;
        Poll::Ready(answer.map_err(|_| self.outbox.down().unwrap_or_else(|| LinkEnd::Disconnected)))
    }
}

impl<C: Queued + From<TakeBack>> Drop for PendingCall<'_, C> {
    fn drop(&mut self) {
        if !self.ended {
            // If the link is down there is nothing to take back.
            let _ = self.outbox.push(TakeBack(self.id).into());
        }
    }
}
