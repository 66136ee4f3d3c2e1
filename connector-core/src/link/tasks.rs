//! Work that a link's task runs beside moving messages: handlers at the plugin's end, calls at the engine's.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use foldhash::{HashMap, HashMapExt};
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};

use crate::plugin::BoxFuture;

/// Futures, each with what it is for, of which each may be stopped by its id. Dropping this drops them all.
///
/// A future is polled once when it is started, since most end at once; only those that wait are kept.
pub(crate) struct Tasks<K, T> {
    waiting: FuturesUnordered<Abortable<Task<K, T>>>,
    handles: HashMap<i64, AbortHandle>,
}

struct Task<K, T> {
    id: Option<i64>,
    of: Option<K>,
    work: BoxFuture<T>,
}

impl<K: Unpin, T> Future for Task<K, T> {
    type Output = (Option<i64>, Option<K>, T);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let output = ready!(self.work.as_mut().poll(cx));
        Poll::Ready((self.id, self.of.take(), output))
    }
}

impl<K: Unpin, T> Tasks<K, T> {
    pub(crate) fn new() -> Self {
        Tasks { waiting: FuturesUnordered::new(), handles: HashMap::new() }
    }

    /// Starts a future; gives its output if it ends at once. Of two with the same id, [`stop`](Tasks::stop) means the
    /// later.
    pub(crate) fn start(&mut self, id: Option<i64>, of: K, mut work: BoxFuture<T>) -> Option<(K, T)> {
        // Polled again as soon as it is kept, so a wake-up meanwhile is not missed.
        let mut nobody = Context::from_waker(std::task::Waker::noop());
        if let Poll::Ready(output) = work.as_mut().poll(&mut nobody) {
            return Some((of, output));
        }
        let (handle, registration) = AbortHandle::new_pair();
        if let Some(id) = id {
            self.handles.insert(id, handle);
        }
        self.waiting.push(Abortable::new(Task { id, of: Some(of), work }, registration));
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
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<(K, T)> {
        while let Poll::Ready(Some(ended)) = self.waiting.poll_next_unpin(cx) {
            // One that was stopped ends here, too, without a word.
            let Ok((id, Some(of), output)) = ended else { continue };
            if let Some(id) = id {
                self.handles.remove(&id);
            }
            return Poll::Ready((of, output));
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
        assert_eq!(tasks.start(Some(1), "a", Box::pin(async { 1 })), Some(("a", 1)));
        let (send, wait) = oneshot::channel();
        assert_eq!(tasks.start(Some(2), "b", Box::pin(async { wait.await.unwrap() })), None);
        send.send(2).unwrap();
        assert_eq!(std::future::poll_fn(|cx| tasks.poll_ended(cx)).await, ("b", 2));
        assert!(!tasks.stop(2), "ended already");
    }

    #[tokio::test]
    async fn what_is_stopped_is_dropped() {
        let mut tasks = Tasks::new();
        let (send, wait) = oneshot::channel::<()>();
        tasks.start(Some(7), (), Box::pin(async { drop(wait.await) }));
        assert!(tasks.stop(7));
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(tasks.poll_ended(&mut cx).is_pending());
        assert!(send.is_closed() && tasks.len() == 0);
    }
}
