//! A service's endpoint of one connection.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::stp::frame::{items, refusal, request, response_text};
use connector_core::stp::{
    Frame, FrameError, Response, StpConnectError, StpRequestError, StpService, StpSession, StpTimeout,
};
use connector_core::{Excerpt, LinkEnd, TraceLimit};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::connector::Shared;
use super::link::Endpoint;
use super::reconnect::Stop;
use super::request_queue::RequestQueue;

pub(super) type ConnectReply = oneshot::Sender<Result<String, StpConnectError>>;
type Reply = oneshot::Sender<Result<Vec<String>, StpRequestError>>;

/// Maximum number of unsent answers before the next request's handler is polled.
const MAX_UNSENT_ANSWERS: usize = 16;

/// A command from a handle to the connection's task.
#[derive(Debug)]
pub(super) enum Command {
    Inform(Utf8Bytes),
    Request { message: String, deadline: Instant, timeout: StpTimeout, reply: Reply },
}

/// A request that awaits an answer.
enum Waiter {
    Register,
    Request(Reply, Duration),
}

pub(super) struct ServiceEndpoint {
    shared: Arc<Shared>,
    epoch: u64,
    timeout: StpTimeout,
    /// Given to the handles once the service is registered.
    link: Option<mpsc::Sender<Command>>,
    commands: mpsc::Receiver<Command>,
    session: StpSession<Waiter>,
    /// The Register request, and answers.
    outgoing: VecDeque<Utf8Bytes>,
    requests: RequestQueue,
    timer: Pin<Box<Sleep>>,
    stop: Stop,
    stopped: bool,
    connect_reply: Option<ConnectReply>,
    session_id: Option<String>,
    requested_session: Option<String>,
    refused: Option<StpConnectError>,
}

impl ServiceEndpoint {
    pub(super) fn new(
        shared: Arc<Shared>,
        epoch: u64,
        service: StpService,
        timeout: StpTimeout,
        stop: Stop,
        connect_reply: Option<ConnectReply>,
    ) -> ServiceEndpoint {
        let (link, commands) = mpsc::channel(shared.config.capacity);
        let max_incoming = shared.config.max_incoming;
        let mut session = StpSession::new(shared.config.max_requests);
        let deadline = Instant::now() + timeout.duration();
        // The first request of a new session is always within capacity.
        let cookie = session.request(Waiter::Register, deadline.into_std()).unwrap_or_default();
        let register = request(&service.to_message(), cookie, timeout);
        ServiceEndpoint {
            shared,
            epoch,
            timeout,
            link: Some(link),
            commands,
            session,
            outgoing: VecDeque::from([register.into()]),
            requests: RequestQueue::new(max_incoming),
            timer: Box::pin(tokio::time::sleep_until(deadline)),
            stop,
            stopped: false,
            connect_reply,
            session_id: None,
            requested_session: service.session_id,
            refused: None,
        }
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Ends the requests under way after the link has ended. Returns the session's id if the service was registered, the
    /// reason if it was refused, and the reply of a pending `connect`.
    pub(super) fn end(mut self, end: &LinkEnd) -> (Option<String>, Option<StpConnectError>, Option<ConnectReply>) {
        self.shared.link_down(self.epoch);
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Request { reply, .. } = command {
                let _ = reply.send(Err(StpRequestError::Lost(end.clone())));
            }
        }
        for waiter in self.session.end() {
            if let Waiter::Request(reply, _) = waiter {
                let _ = reply.send(Err(StpRequestError::Lost(end.clone())));
            }
        }
        (self.session_id, self.refused, self.connect_reply)
    }

    fn complete(&mut self, waiter: Waiter, outcome: Result<Vec<String>, String>) {
        match waiter {
            // The caller may have stopped waiting.
            Waiter::Request(reply, _) => drop(reply.send(outcome.map_err(StpRequestError::Refused))),
            Waiter::Register => match outcome {
                Ok(items) => self.registered(items),
                Err(why) => self.refused = Some(StpConnectError::Refused(why)),
            },
        }
    }

    fn registered(&mut self, items: Vec<String>) {
        let id = items.into_iter().next().or_else(|| self.requested_session.clone()).unwrap_or_default();
        self.session_id = Some(id.clone());
        if let Some(link) = self.link.take() {
            self.shared.link_up(self.epoch, link, id.clone());
        }
        tracing::info!(session = ?Excerpt::new(&id), "registered with STP");
        if let Some(connect_reply) = self.connect_reply.take() {
            let _ = connect_reply.send(Ok(id));
        }
    }

    fn enqueue(&mut self, cookie: i64, message: String, timeout: StpTimeout) {
        if let Err(why) = self.requests.push(cookie, message, timeout) {
            self.outgoing.push_back(response_text(cookie, Err(&why)).into());
        }
    }

    fn answer(&self, cookie: i64, outcome: Result<String, String>) -> Utf8Bytes {
        let answer = response_text(cookie, outcome.as_deref().map_err(String::as_str));
        let limit = self.shared.config.connector.ws.max_sent_message;
        match answer.len() <= limit {
            true => answer.into(),
            false => {
                let why = format!("an answer of {} bytes exceeds the limit of {limit}", answer.len());
                response_text(cookie, Err(&why)).into()
            }
        }
    }

    /// The frame of this service's request, unless its caller has stopped waiting or it fails.
    fn request(&mut self, message: &str, deadline: Instant, timeout: StpTimeout, reply: Reply) -> Option<Utf8Bytes> {
        if reply.is_closed() {
            return None;
        }
        if self.session.waiting() >= self.shared.config.max_requests {
            self.session.forget(|waiter| matches!(waiter, Waiter::Request(reply, _) if reply.is_closed()));
        }
        if self.session.waiting() >= self.shared.config.max_requests {
            let waiting = self.session.waiting();
            let _ = reply.send(Err(StpRequestError::Busy(connector_core::stp::StpBusy { waiting })));
            return None;
        }
        // Within capacity, as checked above.
        let cookie = self.session.request(Waiter::Request(reply, timeout.duration()), deadline.into_std()).ok()?;
        let frame = request(message, cookie, timeout);
        let (bytes, limit) = (frame.len(), self.shared.config.connector.ws.max_sent_message);
        if bytes > limit {
            if let Some(Waiter::Request(reply, _)) = self.session.answered(cookie) {
                let _ = reply.send(Err(StpRequestError::TooLarge { bytes, limit }));
            }
            return None;
        }
        Some(frame.into())
    }

    fn expire(&mut self) {
        let now = Instant::now().into_std();
        while let Some(waiter) = self.session.expire(now) {
            match waiter {
                Waiter::Request(reply, limit) => drop(reply.send(Err(StpRequestError::TimedOut(limit)))),
                Waiter::Register => self.refused = Some(StpConnectError::TimedOut(self.timeout.duration())),
            }
        }
    }
}

impl Endpoint for ServiceEndpoint {
    fn traces(&self) -> &TraceLimit {
        &self.shared.traces
    }

    fn receive(&mut self, text: Utf8Bytes) {
        match Frame::parse(&text) {
            Ok(Frame::Inform(_)) => self.shared.handlers.inform(text.as_str().to_owned()),
            Ok(Frame::Request { cookie, message, timeout, .. }) => self.enqueue(cookie, message.into_owned(), timeout),
            Ok(Frame::Response(Response { cookie, success, result })) => match self.session.answered(cookie) {
                Some(waiter) => {
                    let outcome = if success { Ok(items(result)) } else { Err(refusal(result)) };
                    self.complete(waiter, outcome);
                }
                None => tracing::debug!(cookie, "dropped an answer to an unknown request"),
            },
            Ok(_) => {}
            Err(error @ FrameError::BadRequest { cookie: Some(cookie), .. }) => {
                self.outgoing.push_back(response_text(cookie, Err(&error.to_string())).into());
            }
            Err(error) => {
                if let Some(left_out) = self.traces().pass() {
                    tracing::warn!(left_out, error = %Excerpt::new(error), "dropped a frame from STP");
                }
            }
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Utf8Bytes> {
        loop {
            if let Some(frame) = self.outgoing.pop_front() {
                return Poll::Ready(frame);
            }
            match self.commands.poll_recv(cx) {
                Poll::Ready(Some(Command::Inform(text))) => return Poll::Ready(text),
                Poll::Ready(Some(Command::Request { message, deadline, timeout, reply })) => {
                    if let Some(frame) = self.request(&message, deadline, timeout, reply) {
                        return Poll::Ready(frame);
                    }
                }
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> bool {
        self.expire();
        // Back-pressure from an STP that does not read answers. The link wakes this task when it accepts more.
        let may_answer = self.outgoing.len() < MAX_UNSENT_ANSWERS;
        let progressed = match may_answer.then(|| self.requests.poll_next(cx, &self.shared.handlers)) {
            Some(Poll::Ready(answered)) => {
                if let Some((cookie, outcome)) = answered {
                    let answer = self.answer(cookie, outcome);
                    self.outgoing.push_back(answer);
                }
                true
            }
            Some(Poll::Pending) | None => false,
        };
        let next =
            [self.session.next_deadline().map(Instant::from_std), self.requests.deadline().filter(|_| may_answer)];
        if let Some(next) = next.into_iter().flatten().min() {
            if self.timer.deadline() != next {
                self.timer.as_mut().reset(next);
            }
            if self.timer.as_mut().poll(cx).is_ready() {
                return true;
            }
        }
        progressed
    }

    fn poll_stop(&mut self, cx: &mut Context<'_>, _: impl Fn() -> u64) -> Poll<LinkEnd> {
        if self.refused.is_some() {
            return Poll::Ready(LinkEnd::Disconnected);
        }
        if self.outgoing.len() > self.shared.config.max_incoming.saturating_mul(2).max(64) {
            return Poll::Ready(LinkEnd::lost("STP sends requests and does not read their answers"));
        }
        if !self.stopped && Pin::new(&mut self.stop).poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.stopped = true;
        self.commands.close();
        if self.outgoing.is_empty() && self.commands.is_empty() {
            return Poll::Ready(LinkEnd::Disconnected);
        }
        // Queued frames are sent first. The link wakes this task when it accepts more.
        Poll::Pending
    }
}
