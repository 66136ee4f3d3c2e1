//! When to ping, and when silence has lasted too long.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::Traffic;
use tokio::time::{Instant, Sleep};

use crate::config::WsConfig;

const SHORTEST: Duration = Duration::from_millis(1);
/// How many times as long as without progress a closing may take in all.
const MOST: u32 = 5;

/// What is due.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    Ping,
    /// Nothing was heard for this long.
    Silent(Duration),
}

/// The one timer of a link. Hearing something does not touch it: that is looked at when it fires.
#[derive(Debug)]
pub(crate) struct Keepalive {
    timer: Pin<Box<Sleep>>,
    interval: Duration,
    timeout: Duration,
    pinged: Option<Instant>,
    /// How long a closing may go without progress, and when it is over.
    closing: Option<(Duration, Instant)>,
    /// What had crossed the link when the closing was looked at last.
    crossed: Traffic,
}

impl Keepalive {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(config: &WsConfig) -> Keepalive {
        let interval = config.ping_interval.max(SHORTEST);
        let timer = Box::pin(tokio::time::sleep(interval));
        Keepalive {
            timer,
            interval,
            timeout: config.ping_timeout,
            pinged: None,
            closing: None,
            crossed: Traffic::default(),
        }
    }

    /// Whether silence is noticed at all.
    pub(crate) fn is_on(&self) -> bool {
        self.interval < Duration::MAX && self.timeout < Duration::MAX
    }

    /// `heard` is when something came last, or when the link was made. To be asked only when nothing is left to read.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>, heard: Instant) -> Poll<Due> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            // While a pong is awaited the timer fires at least once an interval too: the pong may have come at once,
            // and then the next ping is due an interval after it, however long the timeout.
            let due = match self.pinged {
                Some(pinged) if heard < pinged => {
                    let limit = after(pinged, self.timeout);
                    if limit <= now {
                        return Poll::Ready(Due::Silent(self.interval.saturating_add(self.timeout)));
                    }
                    limit.min(after(now, self.interval))
                }
                _ => {
                    let due = after(heard, self.interval);
                    if due <= now {
                        self.pinged = Some(now);
                        self.timer.as_mut().reset(after(now, self.timeout.min(self.interval)));
                        return Poll::Ready(Due::Ping);
                    }
                    due
                }
            };
            self.timer.as_mut().reset(due);
        }
    }

    /// From here on the timer bounds the closing: how long it may go without progress, and in all five times that.
    pub(crate) fn start_closing(&mut self, timeout: Duration) {
        let now = Instant::now();
        self.closing = Some((timeout, after(now, timeout.saturating_mul(MOST))));
        self.timer.as_mut().reset(after(now, timeout));
    }

    /// Ready when the closing has taken too long. What has crossed the link since this was asked last is progress.
    pub(crate) fn poll_closing(&mut self, cx: &mut Context<'_>, traffic: Traffic) -> Poll<()> {
        let moved = std::mem::replace(&mut self.crossed, traffic) != traffic;
        if moved && let Some((timeout, over)) = self.closing {
            self.timer.as_mut().reset(after(Instant::now(), timeout).min(over));
        }
        self.timer.as_mut().poll(cx)
    }
}

/// `Instant + Duration::MAX` would panic; thirty years are as good as never.
fn after(start: Instant, delay: Duration) -> Instant {
    start.checked_add(delay).unwrap_or_else(|| start + Duration::from_secs(30 * 365 * 24 * 3600))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn config(interval: u64, timeout: u64) -> WsConfig {
        WsConfig::default().ping_interval(Duration::from_secs(interval)).ping_timeout(Duration::from_secs(timeout))
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_found_after_a_ping_and_its_timeout() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(&config(10, 5));
        assert_eq!(poll_fn(|cx| keepalive.poll_due(cx, start)).await, Due::Ping);
        assert_eq!(start.elapsed().as_secs(), 10);
        assert_eq!(poll_fn(|cx| keepalive.poll_due(cx, start)).await, Due::Silent(Duration::from_secs(15)));
        assert_eq!(start.elapsed().as_secs(), 15);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_heard_counts_from_when_it_was_heard() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(&config(10, 5));
        let heard = start + Duration::from_secs(9);
        assert_eq!(poll_fn(|cx| keepalive.poll_due(cx, heard)).await, Due::Ping);
        assert_eq!(start.elapsed().as_secs(), 19);
        let heard = start + Duration::from_secs(20);
        assert_eq!(poll_fn(|cx| keepalive.poll_due(cx, heard)).await, Due::Ping, "the pong put it off");
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_timeout_does_not_put_off_the_next_ping() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(&config(10, 60));
        assert_eq!(poll_fn(|cx| keepalive.poll_due(cx, start)).await, Due::Ping);
        let heard = start + Duration::from_secs(11);
        assert_eq!(poll_fn(|cx| keepalive.poll_due(cx, heard)).await, Due::Ping);
        assert_eq!(start.elapsed().as_secs(), 21);
        assert_eq!(poll_fn(|cx| keepalive.poll_due(cx, heard)).await, Due::Silent(Duration::from_secs(70)));
        assert_eq!(start.elapsed().as_secs(), 81);
    }

    #[tokio::test(start_paused = true)]
    async fn extremes_neither_panic_nor_spin() {
        let start = Instant::now();
        let mut never = Keepalive::new(&WsConfig::default().ping_interval(Duration::MAX).ping_timeout(Duration::MAX));
        assert!(poll_fn(|cx| Poll::Ready(never.poll_due(cx, start))).await.is_pending());
        never.start_closing(Duration::MAX);
        assert!(poll_fn(|cx| Poll::Ready(never.poll_closing(cx, Traffic::default()))).await.is_pending());
        let mut at_once = Keepalive::new(&config(0, 0));
        assert_eq!(poll_fn(|cx| at_once.poll_due(cx, start)).await, Due::Ping);
        assert_eq!(poll_fn(|cx| at_once.poll_due(cx, start)).await, Due::Silent(SHORTEST));
    }
}
