//! Detects that a counter has stopped changing, without reading the clock on each change.

use std::fmt;
use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::runtime::{self, Timer};

/// Number of checks per limit.
const CHECKS: u32 = 4;

/// Detects that a counter has not changed for a given time. Used for messages sent and bytes received.
///
/// It checks the counter four times per limit, so that counting itself does not read the clock. A stall is detected
/// after the limit, at most a quarter of the limit late.
///
/// If the process was suspended or starved of CPU, all its timers expire at once. That alone is not a stall, because
/// several checks at different times must all see the same count.
pub struct StallDetector {
    limit: Duration,
    timer: Timer,
    count: u64,
    /// Consecutive checks without a change.
    unchanged: u32,
    /// Set while the timer will wake this waker; nothing needs to be polled before.
    waker: Option<Waker>,
}

impl StallDetector {
    /// Watches a counter whose current value is `count`. Must be called within a runtime that has its time enabled.
    pub fn new(limit: Duration, count: u64) -> StallDetector {
        StallDetector { limit, timer: runtime::sleep(limit / CHECKS), count, unchanged: 0, waker: None }
    }

    /// Ready once the counter has not changed for the limit. May be polled again afterwards, which starts a new limit.
    pub fn poll(&mut self, cx: &mut Context<'_>, count: impl Fn() -> u64) -> Poll<()> {
        loop {
            let waits = self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
            if waits && !self.timer.is_elapsed() {
                return Poll::Pending;
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                // Without budget, tokio has not registered the timer, and polls the task again.
                self.waker = runtime::has_budget().then(|| cx.waker().clone());
                return Poll::Pending;
            }
            let now = count();
            let unchanged = if now == self.count { self.unchanged + 1 } else { 0 };
            *self = StallDetector { unchanged: unchanged % CHECKS, ..StallDetector::new(self.limit, now) };
            if unchanged == CHECKS {
                return Poll::Ready(());
            }
        }
    }
}

impl fmt::Debug for StallDetector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StallDetector").field("limit", &self.limit).field("count", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn an_unchanged_count_is_a_stall_after_each_limit() {
        let start = runtime::now();
        let mut stall = StallDetector::new(LIMIT, 7);
        for times in 1..4 {
            poll_fn(|cx| stall.poll(cx, || 7)).await;
            assert_eq!(start.elapsed().as_secs(), times * 10);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_count_that_changes_within_the_limit_is_not_a_stall() {
        let count = AtomicU64::new(0);
        let mut stall = StallDetector::new(LIMIT, 0);
        for _ in 0..50 {
            let mut stands = poll_fn(|cx| stall.poll(cx, || count.load(Ordering::Relaxed)));
            assert!(runtime::timeout(Duration::from_secs(9), &mut stands).await.is_none());
            count.fetch_add(1, Ordering::Relaxed);
        }
        let start = runtime::now();
        poll_fn(|cx| stall.poll(cx, || count.load(Ordering::Relaxed))).await;
        assert!((10..13).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn extreme_limits_neither_panic_nor_spin() {
        let mut never = StallDetector::new(Duration::MAX, 0);
        assert!(poll_fn(|cx| Poll::Ready(never.poll(cx, || 0))).await.is_pending());
        let mut at_once = StallDetector::new(Duration::ZERO, 0);
        poll_fn(|cx| at_once.poll(cx, || 0)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_poll_without_budget_does_not_silence_the_detector() {
        let mut stall = StallDetector::new(LIMIT, 0);
        let mut exhausted = false;
        let stalled = poll_fn(|cx| {
            while !exhausted && runtime::has_budget() {
                let _ = std::pin::pin!(tokio::task::consume_budget()).poll(cx);
            }
            exhausted = true;
            stall.poll(cx, || 0)
        });
        assert!(runtime::timeout(2 * LIMIT, std::pin::pin!(stalled)).await.is_some());
    }

    /// The detector may move to another task while pending.
    #[tokio::test(start_paused = true)]
    async fn the_task_that_polled_last_is_woken() {
        let mut stall = StallDetector::new(LIMIT, 0);
        assert!(stall.poll(&mut Context::from_waker(Waker::noop()), || 0).is_pending());
        let mut waits = runtime::spawn(async move { poll_fn(|cx| stall.poll(cx, || 0)).await });
        let woken = runtime::timeout(2 * LIMIT, std::pin::pin!(waits.ended())).await;
        assert!(woken.is_some());
    }
}
