//! Decides when the other end is probed, and when it counts as silent.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How often a session in use looks after itself: what it has read is reported, and the other end is probed while
/// something is expected from it.
const TICK: Duration = Duration::from_millis(250);

/// A link's timer. Frames do not reset it; they are taken into account when it fires.
#[derive(Debug)]
pub(crate) struct Liveness {
    timer: Pin<Box<Sleep>>,
    interval: Duration,
    silence: Duration,
    last_received: Instant,
    /// The first probe since then.
    probed: Option<Instant>,
    /// A frame has arrived since the timer fired.
    received: bool,
    /// A frame has arrived or was sent since the timer fired.
    used: bool,
    /// The timer fires after a tick.
    ticks: bool,
}

/// What is due.
#[derive(Debug, PartialEq)]
pub(crate) enum Due {
    Probe,
    /// What was read and not reported yet.
    Report,
    /// The other end has been silent for this long.
    Silent(Duration),
}

impl Liveness {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(interval: Duration, silence: Duration) -> Liveness {
        Liveness {
            timer: Box::pin(tokio::time::sleep(TICK)),
            interval,
            silence,
            last_received: Instant::now(),
            probed: None,
            received: false,
            used: true,
            ticks: true,
        }
    }

    /// A frame has arrived.
    pub(crate) fn received(&mut self) {
        self.received = true;
        self.used();
    }

    /// A frame has arrived or was sent.
    pub(crate) fn used(&mut self) {
        self.used = true;
        if !self.ticks {
            self.ticks = true;
            self.timer.as_mut().reset(Instant::now() + TICK);
        }
    }

    /// `awaits`: something is expected from the other end. Call this only when there is nothing to read.
    pub(crate) fn poll_due(&mut self, cx: &mut Context<'_>, awaits: bool) -> Poll<Due> {
        ready!(self.timer.as_mut().poll(cx));
        let now = Instant::now();
        if std::mem::take(&mut self.received) {
            (self.last_received, self.probed) = (now, None);
        }
        let quiet = now - self.last_received;
        let waited = self.probed.map(|probed| now - probed);
        // Time in which this process was stopped counts only once it has asked.
        if quiet >= self.silence && waited.is_some_and(|waited| waited >= self.silence - self.interval) {
            return Poll::Ready(Due::Silent(self.silence));
        }
        let interval = if awaits { TICK.min(self.interval) } else { self.interval };
        let probe = quiet >= interval;
        if probe {
            self.probed.get_or_insert(now);
        }
        self.ticks = std::mem::take(&mut self.used) || awaits;
        let next = match (self.ticks, probe) {
            (true, _) => TICK.min(self.interval),
            (false, true) => interval,
            (false, false) => interval - quiet,
        };
        self.timer.as_mut().reset(after(now, next));
        Poll::Ready(if probe { Due::Probe } else { Due::Report })
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

    const SECOND: Duration = Duration::from_secs(1);

    /// What is due next other than a report, and when.
    async fn next(liveness: &mut Liveness, start: Instant, awaits: bool) -> (Due, Duration) {
        loop {
            let due = poll_fn(|cx| liveness.poll_due(cx, awaits)).await;
            if due != Due::Report {
                return (due, start.elapsed());
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_peer_is_probed_and_then_silent() {
        let start = Instant::now();
        let mut liveness = Liveness::new(5 * SECOND, 15 * SECOND);
        assert_eq!(next(&mut liveness, start, false).await, (Due::Probe, 5 * SECOND));
        assert_eq!(next(&mut liveness, start, false).await, (Due::Probe, 10 * SECOND));
        assert_eq!(next(&mut liveness, start, false).await, (Due::Silent(15 * SECOND), 15 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_puts_the_next_probe_off() {
        let start = Instant::now();
        let mut liveness = Liveness::new(5 * SECOND, 15 * SECOND);
        for round in 1..10 {
            assert_eq!(next(&mut liveness, start, false).await.0, Due::Probe);
            assert!(start.elapsed() >= round * 5 * SECOND && start.elapsed() <= round * (5 * SECOND + TICK));
            liveness.received();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_from_which_something_is_expected_is_probed_at_every_tick() {
        let start = Instant::now();
        let mut liveness = Liveness::new(5 * SECOND, 15 * SECOND);
        for round in 1..20 {
            assert_eq!(next(&mut liveness, start, true).await, (Due::Probe, round * TICK));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_this_process_stood_still_is_not_the_peers_silence() {
        let start = Instant::now();
        let mut liveness = Liveness::new(5 * SECOND, 15 * SECOND);
        tokio::time::advance(100 * SECOND).await;
        assert_eq!(next(&mut liveness, start, false).await, (Due::Probe, 100 * SECOND));
        liveness.received();
        assert_eq!(next(&mut liveness, start, false).await.0, Due::Probe);
    }

    #[tokio::test(start_paused = true)]
    async fn extreme_settings_do_not_panic_or_spin() {
        let start = Instant::now();
        let mut never = Liveness::new(Duration::MAX - Duration::from_millis(1), Duration::MAX);
        assert_eq!(poll_fn(|cx| never.poll_due(cx, false)).await, Due::Report);
        assert_eq!(poll_fn(|cx| never.poll_due(cx, true)).await, Due::Probe);
        let least = Duration::from_millis(1);
        let mut soon = Liveness::new(least, 2 * least);
        assert_eq!(next(&mut soon, start, false).await.0, Due::Probe);
    }
}
