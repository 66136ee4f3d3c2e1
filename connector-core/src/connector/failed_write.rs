//! Holds back a failed write until everything that the peer sent before it has been read.

use std::fmt;
use std::future::Future;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::LinkEnd;
use crate::runtime::{self, Timer};

/// A failed write of a [`Link`](super::Link), reported only once everything that the peer has sent is read: its last
/// words, such as a Close frame or an error, say more than the failed write. See the contract, "End".
///
/// The sending methods call [`poll_sending`](FailedWrite::poll_sending), and [`poll_message`](super::Link::poll_message)
/// calls [`poll_end`](FailedWrite::poll_end) when there is nothing to read. [`FramedLink`](crate::FramedLink) does so.
#[derive(Default)]
pub struct FailedWrite {
    end: Option<LinkEnd>,
    /// The task was woken to read.
    woken: bool,
    timer: Option<Timer>,
}

impl FailedWrite {
    /// Records a failed write, which ends the link with `end`. The first one counts.
    pub fn record(&mut self, end: impl Into<LinkEnd>) {
        self.end.get_or_insert_with(|| end.into());
    }

    /// Whether a write has failed. The following messages are lost, so they may be discarded.
    pub fn is_recorded(&self) -> bool {
        self.end.is_some()
    }

    /// For the sending methods: ready unless a write has failed. Then it wakes the task once, so that it reads, and stays
    /// pending. The reading side reports the end.
    pub fn poll_sending(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.end.is_none() {
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut self.woken, true) {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }

    /// For the reading side, when there is nothing to read: ready with the end once a write has failed and nothing more
    /// has arrived for `grace`, counted from the first such call. A transport whose failed write means that the peer
    /// sends nothing more needs no `grace`.
    pub fn poll_end(&mut self, cx: &mut Context<'_>, grace: Duration) -> Poll<LinkEnd> {
        let Some(end) = &self.end else { return Poll::Pending };
        // When the task's budget is exhausted, tokio returns pending even if there is data.
        if !runtime::has_budget() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if !grace.is_zero() {
            ready!(self.timer.get_or_insert_with(|| runtime::sleep(grace)).as_mut().poll(cx));
        }
        Poll::Ready(end.clone())
    }
}

impl fmt::Debug for FailedWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FailedWrite").field(&self.end).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_failure_is_the_end_once_nothing_more_arrives() {
        let (woken, mut failed) = (Arc::new(Woken::default()), FailedWrite::default());
        let waker = Arc::clone(&woken).into();
        let cx = &mut Context::from_waker(&waker);
        assert!(failed.poll_sending(cx).is_ready() && failed.poll_end(cx, Duration::ZERO).is_pending());
        failed.record(LinkEnd::lost("first"));
        failed.record(LinkEnd::lost("second"));
        for _ in 0..3 {
            assert!(failed.poll_sending(cx).is_pending());
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        let grace = Duration::from_secs(1);
        assert!(failed.poll_end(cx, grace).is_pending());
        tokio::time::advance(grace).await;
        let Poll::Ready(end) = failed.poll_end(cx, grace) else { panic!("no end") };
        assert!(end.to_string().contains("first"), "{end}");
    }
}
