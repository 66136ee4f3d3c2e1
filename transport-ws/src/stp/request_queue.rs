//! STP's requests to a service. They are handled one at a time, in order of arrival.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use connector_core::stp::{StpHandlers, StpTimeout};
use connector_core::{QueueLimits, TraceLimit};
use tokio::time::Instant;

pub(super) type Outcome = Result<String, String>;

/// Maximum size of the queued messages, in bytes.
const MAX_BYTES: usize = 64 << 20;

pub(super) struct RequestQueue {
    limits: QueueLimits,
    queued: VecDeque<Queued>,
    bytes: usize,
    running: Option<Running>,
    /// Limits the traces about abandoned requests.
    abandoned: TraceLimit,
}

struct Queued {
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
    pub(super) fn new(capacity: usize) -> RequestQueue {
        let limits = QueueLimits::default().max_messages(capacity).max_bytes(MAX_BYTES);
        RequestQueue { limits, queued: VecDeque::new(), bytes: 0, running: None, abandoned: TraceLimit::default() }
    }

    /// # Errors
    /// The queue is full.
    pub(super) fn push(&mut self, cookie: i64, message: String, timeout: StpTimeout) -> Result<(), String> {
        let bytes = self.bytes.saturating_add(message.len());
        if !self.limits.admits(self.queued.len(), bytes) {
            return Err(format!("the service is busy: {} requests are queued already", self.queued.len()));
        }
        self.bytes = bytes;
        self.queued.push_back(Queued { cookie, deadline: Instant::now() + timeout.duration(), message });
        Ok(())
    }

    /// When the sender of the running request stops waiting.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.running.as_ref().map(|running| running.deadline)
    }

    /// Polls the current request. Ready with its answer, or with `None` if its sender stopped waiting.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>, handlers: &StpHandlers) -> Poll<Option<(i64, Outcome)>> {
        let now = Instant::now();
        if self.running.is_none() {
            let next = loop {
                let Some(next) = self.queued.pop_front() else { return Poll::Pending };
                self.bytes -= next.message.len();
                if next.deadline > now {
                    break next;
                }
            };
            let Queued { cookie, deadline, message } = next;
            self.running = Some(Running { cookie, deadline, work: Box::pin(handlers.request(message)) });
        }
        let Some(running) = &mut self.running else { return Poll::Pending };
        let answered = match running.work.as_mut().poll(cx) {
            Poll::Ready(outcome) => Some((running.cookie, outcome)),
            Poll::Pending if running.deadline > now => return Poll::Pending,
            Poll::Pending => {
                if let Some(left_out) = self.abandoned.pass() {
                    let cookie = running.cookie;
                    tracing::warn!(cookie, left_out, "a request's handler exceeded the sender's timeout");
                }
                None
            }
        };
        self.running = None;
        Poll::Ready(answered)
    }
}
