//! One end of a link, played by hand.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::{Context, Poll};
use std::time::Duration;

use super::contract::{DISCONNECT, END, FLUSH, LIVES, ORDER, READY, SIZE, TEXT};
use super::failure::{Failure, Hint, check, shown};
use super::harness::{WAKERS, filled, numbered, within, yield_now};
use connector_core::{DecodeError, Link, LinkEnd, Message, SendError};

/// What a link hands out.
pub(super) type Inbound = Result<Message, DecodeError>;

/// One end of a link. While it waits to send it also receives, as the contract has one task do both.
pub(super) struct End {
    who: &'static str,
    link: Box<dyn Link>,
    inbox: VecDeque<Inbound>,
    end: Option<LinkEnd>,
    limit: Duration,
}

impl End {
    pub(super) fn new(who: &'static str, link: Box<dyn Link>, limit: Duration) -> End {
        End { who, link, inbox: VecDeque::new(), end: None, limit }
    }

    /// The link alone, to be given to an engine or a plugin.
    pub(super) fn into_link(self) -> Box<dyn Link> {
        self.link
    }

    /// The end of the link must be the same whoever says it.
    fn ended(&mut self, method: &str, end: LinkEnd) -> Result<LinkEnd, Failure> {
        let said = self.end.get_or_insert_with(|| end.clone());
        check(format!("{said:?}") == format!("{end:?}"), || {
            Failure::new(
                format_args!(
                    "every method to say the same end of the link, and {} had said: {}",
                    self.who,
                    shown(said)
                ),
                format_args!("{} from {method}", shown(&end)),
            )
            .or_look_at("what keeps the end of a link once it is known")
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

    /// Ready to send, or how the link ended.
    pub(super) async fn ready(&mut self) -> Result<Result<(), LinkEnd>, Failure> {
        let (limit, who) = (self.limit, self.who);
        let outcome = within(
            limit,
            format!("poll_ready of {who} end to be ready"),
            poll_fn(|cx| match self.link.poll_ready(cx) {
                Poll::Pending => self.poll_inbox(cx).map(Err),
                ready => ready,
            }),
        )
        .await
        .or_look_at("poll_ready: it is ready once the other end has read, and it wakes the task that polled it")
        .rule(READY)?;
        match outcome {
            Ok(()) => Ok(Ok(())),
            Err(end) => self.ended("poll_ready", end).map(Err),
        }
    }

    pub(super) async fn flushed(&mut self) -> Result<Result<(), LinkEnd>, Failure> {
        let (limit, who) = (self.limit, self.who);
        let outcome = within(
            limit,
            format!("poll_flush of {who} end to be ready"),
            poll_fn(|cx| match self.link.poll_flush(cx) {
                Poll::Pending => self.poll_inbox(cx).map(Err),
                ready => ready,
            }),
        )
        .await
        .or_look_at(
            "poll_flush: it is ready once everything is with the transport, and it wakes the task that polled it",
        )
        .rule(FLUSH)?;
        match outcome {
            Ok(()) => Ok(Ok(())),
            Err(end) => self.ended("poll_flush", end).map(Err),
        }
    }

    /// Sends without a flush, or says how the link ended.
    pub(super) async fn try_put(&mut self, message: Message) -> Result<Result<(), LinkEnd>, Failure> {
        if let Err(end) = self.ready().await? {
            return Ok(Err(end));
        }
        match self.link.send(message) {
            Ok(()) => Ok(Ok(())),
            Err(SendError::Ended(end)) => self.ended("send", end).map(Err),
            Err(error) => Err(Failure::new("a message to be sent", error).or_look_at("send, and its limit").rule(SIZE)),
        }
    }

    /// Sends numbered messages of so many bytes until the link says its end; more than `most` it may not take.
    pub(super) async fn send_until_end(&mut self, bytes: usize, most: usize) -> Result<(), Failure> {
        for number in 0..most as i64 {
            if self.try_put(filled(number, bytes)).await?.is_err() {
                return Ok(());
            }
            // Both ends get their turn, whatever the link thinks of its buffers; and one task polls both ways.
            if number % 16 == 0 {
                yield_now().await;
                let link = &mut self.link;
                if let Poll::Ready(Err(end)) = poll_fn(|cx| Poll::Ready(link.poll_message(cx))).await {
                    return self.ended("poll_message", end).map(drop);
                }
            }
        }
        let came = format!("one that has taken {most} messages of {bytes} bytes");
        let failure = Failure::new("a link that tells its end to a sender", came);
        Err(failure.or_look_at("poll_ready once the link has ended").rule(END))
    }

    pub(super) async fn put(&mut self, message: Message) -> Result<(), Failure> {
        let ended = self.try_put(message).await?;
        ended.map_err(|end| too_early("a link that takes a message", "poll_ready", &end))
    }

    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let ended = self.flushed().await?;
        ended.map_err(|end| too_early("a link that is flushed", "poll_flush", &end))
    }

    pub(super) async fn send(&mut self, message: Message) -> Result<(), Failure> {
        self.put(message).await?;
        self.flush().await
    }

    /// Waits until the link takes it, without receiving meanwhile and without a flush.
    pub(super) async fn take_unread(&mut self, message: Message) -> Result<(), Failure> {
        let what = format!("{} end to send without being read", self.who);
        let link = &mut self.link;
        let ready = within(self.limit, &what, poll_fn(|cx| link.poll_ready(cx))).await.rule(READY)?;
        ready.map_err(|end| too_early(&what, "poll_ready", &end))?;
        self.take(message)
    }

    /// Waits until the link takes it, without receiving meanwhile.
    pub(super) async fn take_when_ready(&mut self, message: Message) -> Result<(), Failure> {
        let what = format!("{} end to send without being read", self.who);
        self.take_unread(message).await?;
        let link = &mut self.link;
        let flushed = within(self.limit, &what, poll_fn(|cx| link.poll_flush(cx))).await.rule(FLUSH)?;
        flushed.map_err(|end| too_early(&what, "poll_flush", &end))
    }

    /// Sends to a link that has been found ready.
    pub(super) fn take(&mut self, message: Message) -> Result<(), Failure> {
        let sent = self.link.send(message);
        sent.map_err(|error| {
            Failure::new("a link that takes a message once it is ready", error).or_look_at("send").rule(READY)
        })
    }

    /// Whether a message is refused as one that cannot be serialized.
    pub(super) async fn is_refused(&mut self, message: Message) -> Result<bool, Failure> {
        self.offer(message).await.map(|taken| !taken)
    }

    /// Flushes without waiting for it.
    pub(super) async fn start_flush(&mut self) {
        let _ = poll_fn(|cx| Poll::Ready(self.link.poll_flush(cx))).await;
    }

    /// Asks everything of the link once, whatever it says.
    pub(super) async fn poke(&mut self, message: Message) {
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

    /// Waits no longer than this from now on.
    pub(super) fn bound(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Whether the link takes a message now, without waiting and without receiving.
    pub(super) async fn is_ready(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(matches!(self.link.poll_ready(cx), Poll::Ready(Ok(()))))).await
    }

    /// The next frame, or how the link ended.
    pub(super) async fn inbound(&mut self) -> Result<Result<Inbound, LinkEnd>, Failure> {
        if let Some(inbound) = self.inbox.pop_front() {
            return Ok(Ok(inbound));
        }
        let what = format!("a message or the link's end at {} end", self.who);
        match within(self.limit, what, poll_fn(|cx| self.link.poll_message(cx))).await.or_look_at(WAKERS)? {
            Ok(inbound) => {
                check(self.end.is_none(), || {
                    let failure = Failure::new("nothing after the end of the link", shown(&inbound));
                    failure.or_look_at("poll_message").rule(END)
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
                Err(Failure::new("a message", error).or_look_at("how a frame is written and read").rule(ORDER))
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
                // What was cut off in the middle may be told as a frame that is none.
                Ok(Err(_)) => {}
                Err(end) => return Ok((messages, end)),
            }
        }
    }

    pub(super) async fn end(&mut self) -> Result<LinkEnd, Failure> {
        Ok(self.rest().await?.1)
    }

    /// Whether anything is there to be received now.
    pub(super) async fn is_quiet(&mut self) -> Result<(), Failure> {
        match poll_fn(|cx| Poll::Ready(self.link.poll_message(cx))).await {
            Poll::Pending if self.inbox.is_empty() => Ok(()),
            other => Err(Failure::new("nothing to arrive", shown(&(other, &self.inbox)))),
        }
    }

    pub(super) async fn disconnect(&mut self) -> Result<(), Failure> {
        let what = format!("poll_disconnect of {} end to be ready", self.who);
        within(self.limit, what, poll_fn(|cx| self.link.poll_disconnect(cx)))
            .await
            .or_look_at("poll_disconnect and its bound")
            .rule(DISCONNECT)
    }

    /// Once the end is known every method says it, again and again.
    pub(super) async fn stays_ended(&mut self) -> Result<(), Failure> {
        for _ in 0..3 {
            let ready = within(self.limit, "poll_ready to say the end", poll_fn(|cx| self.link.poll_ready(cx)))
                .await
                .rule(END)?;
            self.says_end("poll_ready", ready)?;
            let flush = within(self.limit, "poll_flush to say the end", poll_fn(|cx| self.link.poll_flush(cx)))
                .await
                .rule(END)?;
            self.says_end("poll_flush", flush)?;
            let next = poll_fn(|cx| self.link.poll_message(cx));
            let next = within(self.limit, "poll_message to say the end", next).await.rule(END)?;
            self.says_end("poll_message", next)?;
            match self.link.send(numbered(0)) {
                Err(SendError::Ended(end)) => drop(self.ended("send", end)?),
                other => {
                    return Err(Failure::new("send to say the end", shown(&other)).or_look_at("send").rule(END));
                }
            }
        }
        self.disconnect().await
    }

    fn says_end<T: std::fmt::Debug>(&mut self, method: &str, came: Result<T, LinkEnd>) -> Result<(), Failure> {
        match came {
            Err(end) => self.ended(method, end).map(drop),
            Ok(came) => {
                Err(Failure::new(format_args!("{method} to say the end"), shown(&came)).or_look_at(method).rule(END))
            }
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

    /// What the link says to a message that may be too large: `false` if it is refused.
    pub(super) async fn offer(&mut self, message: Message) -> Result<bool, Failure> {
        if let Err(end) = self.ready().await? {
            return Err(too_early("a link that is ready", "poll_ready", &end));
        }
        match self.link.send(message) {
            Ok(()) => Ok(true),
            Err(SendError::Ended(end)) => Err(too_early("a link that takes or refuses a message", "send", &end)),
            Err(error) => {
                let text = error.to_string();
                check(!text.trim().is_empty(), || Failure::new("a refusal that says why", "an empty text").rule(TEXT))?;
                Ok(false)
            }
        }
    }
}

/// The link ended where it should have gone on.
fn too_early(expected: impl std::fmt::Display, method: &str, end: &LinkEnd) -> Failure {
    let came = format_args!("the end of the link: {end} ({})", shown(end)).to_string();
    let hint = format!("{method}, and what makes it say that the link has ended");
    Failure::new(expected, came).or_look_at(&hint).rule(LIVES)
}

/// What an end says is of use to whoever reads it.
pub(super) fn has_text(end: &LinkEnd) -> Result<(), Failure> {
    let empty = match end {
        LinkEnd::Lost(error) => error.to_string().trim().is_empty(),
        LinkEnd::Refused(text) | LinkEnd::BadFrame(text) | LinkEnd::BadHandshake(text) | LinkEnd::GivenUp(text) => {
            text.trim().is_empty()
        }
        _ => false,
    };
    check(!empty, || {
        Failure::new("an end whose text says why", shown(end)).look_at("the text of the LinkEnd").rule(TEXT)
    })
}
