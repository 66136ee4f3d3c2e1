//! A pending call over a link, as its caller sees it.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::oneshot;

use super::{Outbox, Queued};
use crate::connector::LinkEnd;
use crate::error::CallError;
use crate::session::CallId;
use crate::wire::Payload;

/// Completes a pending call. Dropped without a result if the link's task ended.
pub(crate) type Reply = oneshot::Sender<Result<Payload, CallError>>;

/// Requests that the link's task forget a call and notify a native peer.
pub(crate) struct Withdraw(pub(crate) CallId);

/// A queued or sent call. The outer error means that the link is down or its task has ended. Dropping it withdraws the
/// call.
pub(crate) struct PendingCall<'a, C: Queued + From<Withdraw>> {
    outbox: &'a Outbox<C>,
    id: CallId,
    outcome: oneshot::Receiver<Result<Payload, CallError>>,
    ended: bool,
}

impl<'a, C: Queued + From<Withdraw>> PendingCall<'a, C> {
    /// Queues a call regardless of the queue's capacity.
    ///
    /// # Errors
    /// The link is down.
    pub(crate) fn start(
        outbox: &'a Outbox<C>,
        id: CallId,
        call: impl FnOnce(Reply) -> C,
    ) -> Result<PendingCall<'a, C>, LinkEnd> {
        let (reply, outcome) = oneshot::channel();
        outbox.push(call(reply))?;
        Ok(PendingCall { outbox, id, outcome, ended: false })
    }
}

impl<C: Queued + From<Withdraw>> Future for PendingCall<'_, C> {
    type Output = Result<Result<Payload, CallError>, LinkEnd>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let outcome = ready!(Pin::new(&mut self.outcome).poll(cx));
        self.ended = true;
        Poll::Ready(outcome.map_err(|_| self.outbox.down().unwrap_or_else(|| LinkEnd::Disconnected)))
    }
}

impl<C: Queued + From<Withdraw>> Drop for PendingCall<'_, C> {
    fn drop(&mut self) {
        if !self.ended {
            // If the link is down, there is nothing to withdraw.
            let _ = self.outbox.push(Withdraw(self.id).into());
        }
    }
}
