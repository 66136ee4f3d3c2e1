//! Decides when to ping, when a peer counts as silent, and when closing takes too long.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::Traffic;
use tokio::time::{Instant, Sleep};

use crate::config::WsConfig;

/// Total time for closing, as a multiple of the time allowed without progress.
const TOTAL_FACTOR: u32 = 5;

/// The action that is due.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    Ping,
    /// The peer has been silent for this long.
    Silent(Duration),
}

/// A link's single timer. Activity does not reset it; it is taken into account when the timer fires.
#[derive(Debug)]
pub(crate) struct Keepalive {
    timer: Pin<Box<Sleep>>,
    interval: Duration,
    timeout: Duration,
    pinged_at: Option<Instant>,
    /// The time that closing may take without progress, and its final deadline.
    closing: Option<(Duration, Instant)>,
    /// The link's traffic when closing was last polled.
    last_traffic: Traffic,
}

impl Keepalive {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(config: &WsConfig) -> Keepalive {
        Keepalive {
            timer: Box::pin(tokio::time::sleep(config.ping_interval)),
            interval: config.ping_interval,
            timeout: config.ping_timeout,
            pinged_at: None,
            closing: None,
            last_traffic: Traffic::default(),
        }
    }

    /// Whether silence is detected.
    pub(crate) fn is_enabled(&self) -> bool {
        self.interval < Duration::MAX && self.timeout < Duration::MAX
    }

    /// `last_activity` is initially the link's creation. Call this only when there is nothing to read.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>, last_activity: Instant) -> Poll<Due> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let now = Instant::now();
            // While waiting for a pong the timer also fires at least once per interval: if the pong arrived at once,
            // the next ping is due one interval later, however long the timeout is.
            let due = match self.pinged_at {
                Some(pinged_at) if last_activity < pinged_at => {
                    let limit = after(pinged_at, self.timeout);
                    if limit <= now {
                        return Poll::Ready(Due::Silent(self.interval.saturating_add(self.timeout)));
                    }
                    limit.min(after(now, self.interval))
                }
                _ => {
                    let due = after(last_activity, self.interval);
                    if due <= now {
                        self.pinged_at = Some(now);
                        self.timer.as_mut().reset(after(now, self.timeout.min(self.interval)));
                        return Poll::Ready(Due::Ping);
                    }
                    due
                }
            };
            self.timer.as_mut().reset(due);
        }
    }

    /// From now on the timer bounds closing: `timeout` without progress, and five times that in total.
    pub(crate) fn start_closing(&mut self, timeout: Duration) {
        let now = Instant::now();
        self.closing = Some((timeout, after(now, timeout.saturating_mul(TOTAL_FACTOR))));
        self.timer.as_mut().reset(after(now, timeout));
    }

    /// Ready when closing has taken too long. Traffic since the last call counts as progress.
    pub(crate) fn poll_closing(&mut self, cx: &mut Context<'_>, traffic: Traffic) -> Poll<()> {
        let progressed = std::mem::replace(&mut self.last_traffic, traffic) != traffic;
        if progressed && let Some((timeout, deadline)) = self.closing {
            self.timer.as_mut().reset(after(Instant::now(), timeout).min(deadline));
        }
        self.timer.as_mut().poll(cx)
    }
}

/// `Instant + Duration::MAX` would panic, so this saturates at thirty years.
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

    /// What is due next, and when. All times are in seconds since `start`.
    async fn next_due(keepalive: &mut Keepalive, start: Instant, last_activity: u64) -> (Due, u64) {
        let last_activity = start + Duration::from_secs(last_activity);
        (poll_fn(|cx| keepalive.poll_due(cx, last_activity)).await, start.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_detected_after_a_ping_and_its_timeout() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(&config(10, 5));
        assert_eq!(next_due(&mut keepalive, start, 0).await, (Due::Ping, 10));
        assert_eq!(next_due(&mut keepalive, start, 0).await, (Due::Silent(Duration::from_secs(15)), 15));
    }

    #[tokio::test(start_paused = true)]
    async fn activity_delays_the_next_ping_from_the_time_of_the_activity() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(&config(10, 5));
        assert_eq!(next_due(&mut keepalive, start, 9).await, (Due::Ping, 19));
        assert_eq!(next_due(&mut keepalive, start, 20).await, (Due::Ping, 30), "the pong postponed it");
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_timeout_does_not_delay_the_next_ping() {
        let start = Instant::now();
        let mut keepalive = Keepalive::new(&config(10, 60));
        assert_eq!(next_due(&mut keepalive, start, 0).await, (Due::Ping, 10));
        assert_eq!(next_due(&mut keepalive, start, 11).await, (Due::Ping, 21));
        assert_eq!(next_due(&mut keepalive, start, 11).await, (Due::Silent(Duration::from_secs(70)), 81));
    }

    #[tokio::test(start_paused = true)]
    async fn extreme_settings_do_not_panic_or_spin() {
        let start = Instant::now();
        let mut never = Keepalive::new(&WsConfig::default().ping_interval(Duration::MAX).ping_timeout(Duration::MAX));
        assert!(poll_fn(|cx| Poll::Ready(never.poll_due(cx, start))).await.is_pending());
        never.start_closing(Duration::MAX);
        assert!(poll_fn(|cx| Poll::Ready(never.poll_closing(cx, Traffic::default()))).await.is_pending());
        let least = Duration::from_millis(1);
        let mut at_once = Keepalive::new(&WsConfig::default().ping_interval(least).ping_timeout(least));
        assert_eq!(poll_fn(|cx| at_once.poll_due(cx, start)).await, Due::Ping);
        assert_eq!(poll_fn(|cx| at_once.poll_due(cx, start)).await, Due::Silent(2 * least));
    }
}
