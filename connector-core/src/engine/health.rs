//! Whether the plugin at the other end of a link still lives, where the transport does not look after that itself.

use std::future::Future;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::options::PluginOptions;
use crate::link::StallDetector;
use crate::runtime::{self, Instant, Timer};

/// Asks a plugin that has said nothing for a while for a sign of life, and says when it gives none.
///
/// Whatever arrives is one, and so is a link that takes more after it had pushed back: somebody reads. A plugin with a single thread cannot answer while it runs a method, so a call gives it the
/// call's own time limit, counted from when its silence was noticed. Calls that follow give it no more time: otherwise a
/// dead plugin that is called again and again would never be found.
pub(super) struct Health {
    interval: Duration,
    answer_within: Duration,
    call_limit: Duration,
    state: State,
    /// Something has arrived since a call last gave the plugin time.
    heard: bool,
    /// Until when a call gives it time.
    busy_until: Option<Instant>,
}

enum State {
    Quiet(StallDetector),
    /// It was asked, after so many signs of life.
    Asked(Timer, u64),
}

/// What to do about a plugin that says nothing.
#[derive(Debug, PartialEq)]
pub(super) enum Sign {
    /// Ask for a sign of life.
    Ask,
    /// There was none for at least this long.
    Silent(Duration),
}

impl Health {
    /// How often a plugin on a transport that does not notice silence is asked, unless its options say otherwise: with
    /// the default `handshake_timeout`, silence is found within 20 s.
    const INTERVAL: Duration = Duration::from_secs(10);

    /// As good as for ever, and no overflow.
    const LONG: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

    const SHORTEST: Duration = Duration::from_millis(1);

    /// For a link with so many signs of life until now; `None` if nobody needs to look.
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
            heard: true,
            busy_until: None,
        })
    }

    /// A message has come.
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// It has answered, after so many signs of life.
    pub(super) fn answered(&mut self, alive: u64) {
        self.state = State::Quiet(StallDetector::new(self.interval, alive));
    }

    /// A call is under way that the plugin has not answered, or was until now: it may still be at work on it.
    pub(super) fn busy(&mut self) {
        if std::mem::take(&mut self.heard) {
            self.busy_until = Some(runtime::now() + self.call_limit.min(Health::LONG));
        }
    }

    /// Ready when there is something to do. `alive` counts signs of life; `calls` are those that the plugin has not answered.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, alive: impl Fn() -> u64, calls: usize) -> Poll<Sign> {
        loop {
            let before = match &mut self.state {
                State::Quiet(standstill) => {
                    ready!(standstill.poll(cx, &alive));
                    if calls > 0 {
                        self.busy();
                    }
                    self.state = State::Asked(runtime::sleep(self.answer_within), alive());
                    return Poll::Ready(Sign::Ask);
                }
                State::Asked(timer, before) => {
                    ready!(timer.as_mut().poll(cx));
                    *before
                }
            };
            let now = alive();
            let busy = self.busy_until.is_some_and(|until| runtime::now() < until);
            if now != before {
                self.answered(now);
            } else if busy {
                self.state = State::Asked(runtime::sleep(self.answer_within), before);
            } else {
                return Poll::Ready(Sign::Silent(self.interval.saturating_add(self.answer_within)));
            }
        }
    }
}
