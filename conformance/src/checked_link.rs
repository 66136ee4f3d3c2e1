//! One end of a link, driven by a case and checked against the contract.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::contract::{DISCONNECT, END, FLUSH, LIVES, ORDER, READY, SIZE, TEXT};
use super::failure::{Failure, Hint, check, shown};
use super::harness::{WAKERS, filled, numbered, within, yield_now};
use connector_core::{ConnectError, DecodeError, Link, LinkEnd, Message, SendError};

const READY_HINT: &str = "poll_ready: it becomes ready once the other end has read, and wakes the task that polled it";
const FLUSH_HINT: &str =
    "poll_flush: it becomes ready once the transport has everything, and wakes the task that polled it";
const END_HINT: &str = "where the end of a link is stored once it is known";

/// What a link yields: a message, or a frame that could not be decoded.
pub(super) type Inbound = Result<Message, DecodeError>;

/// One end of a link. It receives while it waits to send, since the contract has one task do both.
pub(super) struct CheckedLink {
    name: &'static str,
    link: Box<dyn Link>,
    inbox: VecDeque<Inbound>,
    end: Option<LinkEnd>,
    limit: Duration,
}

impl CheckedLink {
    pub(super) fn new(name: &'static str, link: Box<dyn Link>, limit: Duration) -> CheckedLink {
        CheckedLink { name, link, inbox: VecDeque::new(), end: None, limit }
    }

    /// Unwraps the link, to pass it to an engine or a plugin.
    pub(super) fn into_link(self) -> Box<dyn Link> {
        self.link
    }

    /// Checks that every method reports the same end.
    fn ended(&mut self, method: &str, end: LinkEnd) -> Result<LinkEnd, Failure> {
        let known = self.end.get_or_insert_with(|| end.clone());
        check(format!("{known:?}") == format!("{end:?}"), || {
            Failure::new(
                format_args!(
                    "every method to report the same end of the link, and {} first reported: {}",
                    self.name,
                    shown(known)
                ),
                format_args!("{} from {method}", shown(&end)),
            )
            .fallback_hint(END_HINT)
            .rule(END)
        })?;
        has_text(&end).map(|()| end)
    }

    fn poll_inbox(&mut self, cx: &mut Context<'_>) -> Poll<LinkEnd> {
        loop {
            match self.link.poll_message(cx) {
                Poll::Ready(Ok(inbound)) => self.inbox.push_back(inbound),
                Poll::Ready(Err(end)) => return Poll::Ready(end),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Waits until the link is ready to send, or returns how it ended.
    pub(super) async fn ready(&mut self) -> Result<Result<(), LinkEnd>, Failure> {
        self.progress("poll_ready", |link, cx| link.poll_ready(cx)).await.fallback_hint(READY_HINT).rule(READY)
    }

    pub(super) async fn flushed(&mut self) -> Result<Result<(), LinkEnd>, Failure> {
        self.progress("poll_flush", |link, cx| link.poll_flush(cx)).await.fallback_hint(FLUSH_HINT).rule(FLUSH)
    }

    /// Waits until a method is ready, and receives meanwhile.
    async fn progress(
        &mut self,
        method: &'static str,
        poll: impl Fn(&mut dyn Link, &mut Context<'_>) -> Poll<Result<(), LinkEnd>>,
    ) -> Result<Result<(), LinkEnd>, Failure> {
        let (limit, what) = (self.limit, format!("{method} of {} end to be ready", self.name));
        let outcome = poll_fn(|cx| match poll(&mut *self.link, cx) {
            Poll::Pending => self.poll_inbox(cx).map(Err),
            ready => ready,
        });
        match within(limit, what, outcome).await? {
            Ok(()) => Ok(Ok(())),
            Err(end) => self.ended(method, end).map(Err),
        }
    }

    /// Sends without a flush, or returns how the link ended.
    pub(super) async fn try_queue(&mut self, message: Message) -> Result<Result<(), LinkEnd>, Failure> {
        if let Err(end) = self.ready().await? {
            return Ok(Err(end));
        }
        match self.link.send(message) {
            Ok(()) => Ok(Ok(())),
            Err(SendError::Ended(end)) => self.ended("send", end).map(Err),
            Err(error) => {
                Err(Failure::new("a message to be sent", error).fallback_hint("send, and its limit").rule(SIZE))
            }
        }
    }

    /// Sends numbered messages of `bytes` bytes until the link reports its end. It may accept at most `max` of them.
    pub(super) async fn send_until_end(&mut self, bytes: usize, max: usize) -> Result<(), Failure> {
        for number in 0..max as i64 {
            if self.try_queue(filled(number, bytes)).await?.is_err() {
                return Ok(());
            }
            // Lets the other end run even if the link is always ready, and polls both directions from one task.
            if number % 16 == 0 {
                yield_now().await;
                let link = &mut self.link;
                if let Poll::Ready(Err(end)) = poll_fn(|cx| Poll::Ready(link.poll_message(cx))).await {
                    return self.ended("poll_message", end).map(drop);
                }
            }
        }
        let received = format!("one that accepted {max} messages of {bytes} bytes");
        let failure = Failure::new("a link that reports its end to a sender", received);
        Err(failure.fallback_hint("poll_ready once the link has ended").rule(END))
    }

    pub(super) async fn queue(&mut self, message: Message) -> Result<(), Failure> {
        let ended = self.try_queue(message).await?;
        ended.map_err(|end| too_early("a link that accepts a message", "poll_ready", &end))
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let ended = self.flushed().await?;
        ended.map_err(|end| too_early("a link that is flushed", "poll_flush", &end))
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.queue(message).await?;
        self.flush().await
    }

    /// Waits until the link is ready and sends, without receiving meanwhile and without a flush.
    pub(super) async fn send_when_ready(&mut self, message: Message) -> Result<(), Failure> {
        let what = format!("{} end to send without being read", self.name);
        let link = &mut self.link;
        let ready = within(self.limit, &what, poll_fn(|cx| link.poll_ready(cx)));
        let ready = ready.await.fallback_hint(READY_HINT).rule(READY)?;
        ready.map_err(|end| too_early(&what, "poll_ready", &end))?;
        self.send_now(message)
    }

    /// Waits until the link is ready, sends and flushes, without receiving meanwhile.
    pub(super) async fn send_and_flush_when_ready(&mut self, message: Message) -> Result<(), Failure> {
        let what = format!("{} end to send without being read", self.name);
        self.send_when_ready(message).await?;
        let link = &mut self.link;
        let flushed = within(self.limit, &what, poll_fn(|cx| link.poll_flush(cx)));
        let flushed = flushed.await.fallback_hint(FLUSH_HINT).rule(FLUSH)?;
        flushed.map_err(|end| too_early(&what, "poll_flush", &end))
    }

    /// Sends on a link that is known to be ready.
    pub(super) fn send_now(&mut self, message: Message) -> Result<(), Failure> {
        let sent = self.link.send(message);
        sent.map_err(|error| {
            Failure::new("a link that accepts a message once it is ready", error).fallback_hint("send").rule(READY)
        })
    }

    /// Whether `send` rejects a message that cannot be serialized.
    pub(super) async fn is_rejected(&mut self, message: Message) -> Result<bool, Failure> {
        self.offer(message).await.map(|taken| !taken)
    }

    /// Polls the flush once.
    pub(super) async fn start_flush(&mut self) {
        let _ = poll_fn(|cx| Poll::Ready(self.link.poll_flush(cx))).await;
    }

    /// Calls every method once and ignores the outcome.
    pub(super) async fn poll_everything(&mut self, message: Message) {
        poll_fn(|cx| {
            let _ = self.link.poll_ready(cx);
            let _ = self.link.poll_flush(cx);
            let _ = self.link.poll_message(cx);
            Poll::Ready(())
        })
        .await;
        let _ = self.link.send(message);
        self.start_flush().await;
    }

    /// Sets the time limit of further waits.
    pub(super) fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Whether the link is ready now, without waiting and without receiving.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(matches!(self.link.poll_ready(cx), Poll::Ready(Ok(()))))).await
    }

    /// The next frame, or how the link ended.
    pub(super) async fn inbound(&mut self) -> Result<Result<Inbound, LinkEnd>, Failure> {
        if let Some(inbound) = self.inbox.pop_front() {
            return Ok(Ok(inbound));
        }
        let what = format!("a message or the link's end at {} end", self.name);
        match within(self.limit, what, poll_fn(|cx| self.link.poll_message(cx))).await.fallback_hint(WAKERS)? {
            Ok(inbound) => {
                check(self.end.is_none(), || {
                    let failure = Failure::new("nothing after the end of the link", shown(&inbound));
                    failure.fallback_hint("poll_message").rule(END)
                })?;
                Ok(Ok(inbound))
            }
            Err(end) => self.ended("poll_message", end).map(Err),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Message, Failure> {
        match self.inbound().await? {
            Ok(Ok(message)) => Ok(message),
            Ok(Err(error)) => {
                Err(Failure::new("a message", error).fallback_hint("how a frame is written and read").rule(ORDER))
            }
            Err(end) => Err(too_early("a message", "poll_message", &end)),
        }
    }

    /// The end of the link, and the messages before it.
    pub(super) async fn rest(&mut self) -> Result<(Vec<Message>, LinkEnd), Failure> {
        let mut messages = Vec::new();
        loop {
            match self.inbound().await? {
                Ok(Ok(message)) => messages.push(message),
                // A truncated message may be reported as a bad frame.
                Ok(Err(_)) => {}
                Err(end) => return Ok((messages, end)),
            }
        }
    }

    pub(super) async fn end(&mut self) -> Result<LinkEnd, Failure> {
        Ok(self.rest().await?.1)
    }

    /// Checks that nothing can be received now.
    pub(super) async fn is_quiet(&mut self) -> Result<(), Failure> {
        match poll_fn(|cx| Poll::Ready(self.link.poll_message(cx))).await {
            Poll::Pending if self.inbox.is_empty() => Ok(()),
            other => {
                let failure = Failure::new("nothing to arrive", shown(&(other, &self.inbox)));
                Err(failure.fallback_hint("messages that are delivered twice or made up").rule(ORDER))
            }
        }
    }

    pub(super) async fn disconnect(&mut self) -> Result<(), Failure> {
        let what = format!("poll_disconnect of {} end to be ready", self.name);
        within(self.limit, what, poll_fn(|cx| self.link.poll_disconnect(cx)))
            .await
            .fallback_hint("poll_disconnect and its bound")
            .rule(DISCONNECT)
    }

    /// Checks that every method keeps reporting the end.
    pub(super) async fn stays_ended(&mut self) -> Result<(), Failure> {
        for _ in 0..3 {
            let ready = poll_fn(|cx| self.link.poll_ready(cx));
            let ready = within(self.limit, "poll_ready to report the end", ready).await;
            self.reports_end("poll_ready", ready)?;
            let flush = poll_fn(|cx| self.link.poll_flush(cx));
            let flush = within(self.limit, "poll_flush to report the end", flush).await;
            self.reports_end("poll_flush", flush)?;
            let next = poll_fn(|cx| self.link.poll_message(cx));
            let next = within(self.limit, "poll_message to report the end", next).await;
            self.reports_end("poll_message", next)?;
            match self.link.send(numbered(0)) {
                Err(SendError::Ended(end)) => drop(self.ended("send", end)?),
                other => {
                    return Err(Failure::new("send to report the end", shown(&other)).fallback_hint("send").rule(END));
                }
            }
        }
        self.disconnect().await
    }

    fn reports_end<T: std::fmt::Debug>(
        &mut self,
        method: &str,
        received: Result<Result<T, LinkEnd>, Failure>,
    ) -> Result<(), Failure> {
        match received.fallback_hint(END_HINT).rule(END)? {
            Err(end) => self.ended(method, end).map(drop),
            Ok(received) => Err(Failure::new(format_args!("{method} to report the end"), shown(&received))
                .fallback_hint(method)
                .rule(END)),
        }
    }

    pub(super) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, LinkEnd>> {
        self.link.poll_message(cx)
    }

    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.link.poll_ready(cx)
    }

    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.link.poll_flush(cx)
    }

    pub(super) fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.poll_disconnect(cx)
    }

    /// Sends a message that may be too large. Returns `false` if the link rejects it.
    pub(super) async fn offer(&mut self, message: Message) -> Result<bool, Failure> {
        if let Err(end) = self.ready().await? {
            return Err(too_early("a link that is ready", "poll_ready", &end));
        }
        match self.link.send(message) {
            Ok(()) => Ok(true),
            Err(SendError::Ended(end)) => Err(too_early("a link that accepts or rejects a message", "send", &end)),
            Err(error) => {
                let text = error.to_string();
                check(!text.trim().is_empty(), || {
                    Failure::new("an error that gives a reason", "an empty text").rule(TEXT)
                })?;
                Ok(false)
            }
        }
    }
}

/// The link ended where it should have stayed up.
fn too_early(expected: impl std::fmt::Display, method: &str, end: &LinkEnd) -> Failure {
    let received = format_args!("the end of the link: {end} ({})", shown(end)).to_string();
    let hint = format!("{method}, and why it reports that the link has ended");
    Failure::new(expected, received).fallback_hint(&hint).rule(LIVES)
}

/// Checks that the text of an end is not empty.
pub(super) fn has_text(end: &LinkEnd) -> Result<(), Failure> {
    let empty = match end {
        LinkEnd::Lost(error) | LinkEnd::Unreachable(ConnectError::Failed(error) | ConnectError::GivenUp(error)) => {
            error.to_string().trim().is_empty()
        }
        LinkEnd::BadFrame(text)
        | LinkEnd::BadHandshake(text)
        | LinkEnd::Unreachable(ConnectError::Refused(text) | ConnectError::Protocol(text)) => text.trim().is_empty(),
        _ => false,
    };
    check(!empty, || {
        Failure::new("an end whose text gives a reason", shown(end)).hint("the text of the LinkEnd").rule(TEXT)
    })
}
