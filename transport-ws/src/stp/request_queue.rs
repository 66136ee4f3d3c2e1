//! What STP asks of a service: one after another, in order of arrival.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use connector_core::stp::{StpHandlers, StpTimeout};
use tokio::time::Instant;

pub(super) type Outcome = Result<String, String>;

/// Bytes of messages that may wait, beside their number.
const MOST_BYTES: usize = 64 << 20;

pub(super) struct RequestQueue {
    most: usize,
    waiting: VecDeque<Waiting>,
    bytes: usize,
    running: Option<Running>,
}

struct Waiting {
    cookie: i64,
    deadline: Instant,
    message: String,
}

struct Running {
    cookie: i64,
    deadline: Instant,
    work: Pin<Box<dyn Future<Output = Outcome> + Send>>,
}

impl RequestQueue {
    pub(super) fn new(most: usize) -> RequestQueue {
        RequestQueue { most, waiting: VecDeque::new(), bytes: 0, running: None }
    }

    /// # Errors
    /// As many wait as may.
    pub(super) fn push(&mut self, cookie: i64, message: String, timeout: StpTimeout) -> Result<(), String> {
        let bytes = self.bytes.saturating_add(message.len());
        if self.waiting.len() >= self.most || (bytes > MOST_BYTES && !self.waiting.is_empty()) {
            return Err(format!("the service is busy: {} requests wait already", self.waiting.len()));
        }
        self.bytes = bytes;
        self.waiting.push_back(Waiting { cookie, deadline: Instant::now() + timeout.duration(), message });
        Ok(())
    }

    /// When the asker that is being answered stops waiting.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.deadline)
    }

    /// Goes on with the one whose turn it is: ready with its answer, or with nothing if its asker waits no longer.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>, handlers: &StpHandlers) -> Poll<Option<(i64, Outcome)>> {
        let now = Instant::now();
        if self.running.is_none() {
            let next = loop {
                let Some(next) = self.waiting.pop_front() else { return Poll::Pending };
                self.bytes -= next.message.len();
                if next.deadline > now {
                    break next;
                }
            };
            let Waiting { cookie, deadline, message } = next;
            self.running = Some(Running { cookie, deadline, work: Box::pin(handlers.request(message)) });
        }
        let Some(running) = &mut self.running else { return Poll::Pending };
        let answered = match running.work.as_mut().poll(cx) {
            Poll::Ready(outcome) => Some((running.cookie, outcome)),
            Poll::Pending if running.deadline > now => return Poll::Pending,
            Poll::Pending => {
                tracing::warn!(cookie = running.cookie, "a request's handler took longer than its asker waits");
                None
            }
        };
        self.running = None;
        Poll::Ready(answered)
    }
}
