//! Liveness checks for links whose transport does not detect a silent peer itself.

use std::future::Future;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::options::PluginOptions;
use crate::link::StallDetector;
use crate::runtime::{self, Instant, Timer};

/// Probes a plugin that has been silent for a while, and reports when it does not respond.
///
/// Any received data is a sign of life, and so is a link that accepts messages again after back-pressure. A
/// single-threaded plugin cannot respond while it runs a method, so a pending call grants it the call's own time limit,
/// counted from when the silence was noticed. Further calls do not extend this; otherwise a dead plugin that is called
/// repeatedly would never be detected.
pub(super) struct Health {
    interval: Duration,
    answer_within: Duration,
    call_limit: Duration,
    state: State,
    /// Whether anything was received since a call last granted extra time.
    received: bool,
    /// End of the extra time granted by a call.
    busy_until: Option<Instant>,
}

enum State {
    Quiet(StallDetector),
    /// A probe was sent, at this count of signs of life.
    Probing(Timer, u64),
}

/// What the endpoint has to do.
#[derive(Debug, PartialEq)]
pub(super) enum LivenessEvent {
    /// Send a probe.
    Probe,
    /// The plugin was silent for at least this long.
    Silent(Duration),
}

impl Health {
    /// Default interval on a transport that does not detect silence: with the default `handshake_timeout`, silence is
    /// detected within 20 s.
    const INTERVAL: Duration = Duration::from_secs(10);

    /// Effectively forever, without overflow.
    const LONG: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

    const SHORTEST: Duration = Duration::from_millis(1);

    /// For a link with `alive` signs of life so far. `None` if no checks are needed.
    pub(super) fn new(options: &PluginOptions, notices_silence: bool, alive: u64) -> Option<Health> {
        let interval = match options.health_interval {
            Some(interval) => interval.max(Health::SHORTEST),
            None if notices_silence => return None,
            None => Health::INTERVAL,
        };
        Some(Health {
            interval,
            answer_within: options.handshake_timeout,
            call_limit: options.queue_timeout,
            state: State::Quiet(StallDetector::new(interval, alive)),
            received: true,
            busy_until: None,
        })
    }

    /// A message was received.
    pub(super) fn received(&mut self) {
        self.received = true;
    }

    /// The plugin has responded; `alive` is the current count of signs of life.
    pub(super) fn answered(&mut self, alive: u64) {
        self.state = State::Quiet(StallDetector::new(self.interval, alive));
    }

    /// A call is pending or has just been withdrawn: the plugin may still be working on it.
    pub(super) fn busy(&mut self) {
        if std::mem::take(&mut self.received) {
            self.busy_until = Some(runtime::now() + self.call_limit.min(Health::LONG));
        }
    }

    /// Ready when there is something to do. `alive` counts signs of life; `calls` is the number of pending calls.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, alive: impl Fn() -> u64, calls: usize) -> Poll<LivenessEvent> {
        loop {
            let before = match &mut self.state {
                State::Quiet(stall) => {
                    ready!(stall.poll(cx, &alive));
                    if calls > 0 {
                        self.busy();
                    }
                    self.state = State::Probing(runtime::sleep(self.answer_within), alive());
                    return Poll::Ready(LivenessEvent::Probe);
                }
                State::Probing(timer, before) => {
                    ready!(timer.as_mut().poll(cx));
                    *before
                }
            };
            let now = alive();
            let busy = self.busy_until.is_some_and(|until| runtime::now() < until);
            if now != before {
                self.answered(now);
            } else if busy {
                self.state = State::Probing(runtime::sleep(self.answer_within), before);
            } else {
                return Poll::Ready(LivenessEvent::Silent(self.interval.saturating_add(self.answer_within)));
            }
        }
    }
}
