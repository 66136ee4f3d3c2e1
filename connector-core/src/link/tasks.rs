//! Work that a link's task runs beside moving messages: handlers at the plugin's end, calls at the engine's.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};

/// Futures of which each may be stopped by its id. Dropping this drops them all.
///
/// A future is polled once when it is started, since most end at once; only those that wait are kept.
pub(crate) struct Tasks<T> {
    waiting: FuturesUnordered<Abortable<Numbered<T>>>,
    handles: HashMap<i64, AbortHandle>,
}

type Numbered<T> = Pin<Box<dyn Future<Output = (Option<i64>, T)> + Send>>;

impl<T: Send + 'static> Tasks<T> {
    pub(crate) fn new() -> Self {
        Tasks { waiting: FuturesUnordered::new(), handles: HashMap::new() }
    }

    /// Starts a future; gives its output if it ends at once. Of two with the same id, [`stop`](Tasks::stop) means the
    /// later.
    pub(crate) fn start(&mut self, id: Option<i64>, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let mut work = Box::pin(work);
        // Polled again as soon as it is kept, so a wake-up meanwhile is not missed.
        let mut nobody = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(done) = work.as_mut().poll(&mut nobody) {
            return Some(done);
        }
        let (handle, registration) = AbortHandle::new_pair();
        if let Some(id) = id {
            self.handles.insert(id, handle);
        }
        let numbered: Numbered<T> = Box::pin(async move { (id, work.await) });
        self.waiting.push(Abortable::new(numbered, registration));
        None
    }

    /// Drops the future of that id, if it still waits.
    pub(crate) fn stop(&mut self, id: i64) -> bool {
        self.handles.remove(&id).inspect(AbortHandle::abort).is_some()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The output of a future that has ended by itself.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<T> {
        while let Poll::Ready(Some(ended)) = self.waiting.poll_next_unpin(cx) {
            // One that was stopped ends here, too, without a word.
            let Ok((id, output)) = ended else { continue };
            if let Some(id) = id {
                self.handles.remove(&id);
            }
            return Poll::Ready(output);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_ends_at_once_is_given_back_and_what_waits_is_kept() {
        let mut tasks = Tasks::new();
        assert_eq!(tasks.start(Some(1), async { 1 }), Some(1));
        let (send, wait) = oneshot::channel();
        assert_eq!(tasks.start(Some(2), async { wait.await.unwrap() }), None);
        send.send(2).unwrap();
        assert_eq!(std::future::poll_fn(|cx| tasks.poll_ended(cx)).await, 2);
        assert!(!tasks.stop(2), "ended already");
    }

    #[tokio::test]
    async fn what_is_stopped_is_dropped() {
        let mut tasks = Tasks::new();
        let (send, wait) = oneshot::channel::<()>();
        tasks.start(Some(7), async { drop(wait.await) });
        assert!(tasks.stop(7));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(tasks.poll_ended(&mut cx).is_pending());
        assert!(send.is_closed() && tasks.len() == 0);
    }
}
