//! One connection to a socket.io server as a [`Link`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use connector_core::{DecodeError, Link, LinkEnd, Message, SendError};
use futures_util::StreamExt;
use rust_engineio::asynchronous::Client;
use rust_engineio::{Error, Packet as Frame, PacketId};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::ReusableBoxFuture;

use super::errors;
use crate::codec::{self, Packet};
use crate::config::CLOSE;

/// One frame on its way; gives the client back.
type Sending = ReusableBoxFuture<'static, (Client, Result<(), Error>)>;

pub(super) struct ClientLink {
    client: Client,
    namespace: String,
    max_message: usize,
    sending: Sending,
    /// The client for the next frame, if none is on its way.
    sender: Option<Client>,
    /// Read while a failed write was looked into; the next to be handed out.
    inbox: Option<Result<Bytes, DecodeError>>,
    /// A write's error, until reading has ended as well.
    failed: Option<LinkEnd>,
    closing: Closing,
    /// Binary frames still to come of an event: rust_engineio hands them out as if they were packets.
    attachments: usize,
    /// How long the plugin may be silent, when it was heard last, and when to look whether that is over.
    silence: Duration,
    heard: Instant,
    watch: Pin<Box<Sleep>>,
    end: Option<LinkEnd>,
}

enum Closing {
    No,
    /// Until when, and what is still to be said.
    Yes(Pin<Box<Sleep>>, Vec<Frame>),
}

impl ClientLink {
    pub(super) fn new(client: Client, namespace: String, max_message: usize) -> ClientLink {
        let sender = Some(client.clone());
        let sending = ReusableBoxFuture::new(std::future::pending());
        let silence = silence(&client);
        ClientLink {
            client,
            namespace,
            max_message,
            sending,
            sender,
            inbox: None,
            failed: None,
            closing: Closing::No,
            attachments: 0,
            silence,
            heard: Instant::now(),
            watch: Box::pin(tokio::time::sleep(silence)),
            end: None,
        }
    }

    fn start(&mut self, frame: Frame) {
        if let Some(client) = self.sender.take() {
            self.sending.set(async move {
                let sent = client.emit(frame).await;
                (client, sent)
            });
        }
    }

    /// Ready when no frame is on its way.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sender.is_none() {
            let (client, sent) = ready!(self.sending.poll(cx));
            self.sender = Some(client);
            if let Err(error) = sent {
                self.failed = Some(errors::of_link(error));
            }
        }
        Poll::Ready(())
    }

    /// As [`poll_sent`](ClientLink::poll_sent). A write that has failed is the end as soon as there is nothing more to
    /// read.
    fn poll_writing(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.ended()?;
        ready!(self.poll_sent(cx));
        if self.failed.is_none() {
            return Poll::Ready(Ok(()));
        }
        if self.inbox.is_none() {
            self.inbox = Some(ready!(self.poll_inbound(cx))?);
            cx.waker().wake_by_ref();
        }
        // Whoever reads takes it, and then the next is looked at.
        Poll::Pending
    }

    /// Nothing is there to read: ready with the end that follows from a failed write, or from the time that has passed.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<LinkEnd> {
        // Without budget tokio says "pending" though there may be something, and wakes the task to look again.
        if let Some(failed) = &self.failed
            && tokio::task::coop::has_budget_remaining()
        {
            return Poll::Ready(failed.clone());
        }
        // rust_engineio's own watch waits for a write that is stuck, and that is when it is needed.
        loop {
            ready!(self.watch.as_mut().poll(cx));
            let over = self.heard + self.silence;
            if over <= Instant::now() {
                return Poll::Ready(LinkEnd::Silent(self.silence));
            }
            self.watch.as_mut().reset(over);
        }
    }

    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Bytes, DecodeError>, LinkEnd>> {
        loop {
            if let Some(end) = &self.end {
                return Poll::Ready(Err(end.clone()));
            }
            let frame = match self.client.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(Error::PingTimeout()))) => {
                    self.end = Some(LinkEnd::Silent(self.silence));
                    continue;
                }
                Poll::Ready(Some(Err(error))) => {
                    self.end = Some(errors::of_link(error));
                    continue;
                }
                Poll::Ready(None) => {
                    self.end = Some(closed("the plugin closed the connection"));
                    continue;
                }
                Poll::Pending => {
                    self.end = Some(ready!(self.poll_idle(cx)));
                    continue;
                }
            };
            self.heard = Instant::now();
            if self.attachments > 0 && frame.packet_id == PacketId::Message {
                self.attachments -= 1;
                continue;
            }
            match frame.packet_id {
                PacketId::Message => {}
                PacketId::Close => {
                    self.end = Some(closed("the plugin closed the connection"));
                    continue;
                }
                PacketId::MessageBinary => return Poll::Ready(Ok(Err(DecodeError::WrongFrame("binary frames")))),
                _ => continue,
            }
            match Packet::read(&frame.data, &self.namespace) {
                Ok(Packet::Event(event)) => return Poll::Ready(Ok(Ok(event))),
                Ok(Packet::Binary(attachments)) => {
                    self.attachments = attachments;
                    return Poll::Ready(Ok(Err(DecodeError::WrongFrame("binary attachments"))));
                }
                Ok(Packet::Disconnected | Packet::Refused(_)) => {
                    self.end = Some(closed("the plugin left the namespace"));
                }
                Ok(Packet::Connected | Packet::Other) => {}
                Err(error) => return Poll::Ready(Ok(Err(error))),
            }
        }
    }

    fn ended(&self) -> Result<(), LinkEnd> {
        self.end.clone().map_or(Ok(()), Err)
    }
}

/// The engine looks after a silent plugin itself where this would take longer than it does.
const NOTICED: Duration = Duration::from_secs(20);

/// After how long without a ping the plugin is silent. The handshake says so, and rust_engineio keeps that to itself,
/// but for what it prints.
fn silence(client: &Client) -> Duration {
    let printed = format!("{client:?}");
    let number = |name: &str| {
        let (_, text) = printed.rsplit_once(name)?;
        text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    match (number("ping_interval: "), number("ping_timeout: ")) {
        (Some(interval), Some(timeout)) => Duration::from_millis(u64::saturating_add(interval, timeout)),
        // The defaults of socket.io.
        _ => Duration::from_secs(45),
    }
}

fn closed(reason: &str) -> LinkEnd {
    LinkEnd::Closed { code: None, reason: reason.to_owned() }
}

impl Link for ClientLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_writing(cx)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.ended()?;
        let event = Packet::event(&self.namespace, &message, self.max_message)?;
        self.start(Frame::new(PacketId::Message, event));
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_writing(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let event = match self.inbox.take() {
            Some(event) => event,
            None => ready!(self.poll_inbound(cx))?,
        };
        Poll::Ready(Ok(event.and_then(|event| codec::decode(&event))))
    }

    /// By the plugin's pings, whose times it sets itself: longer ones are not relied on.
    fn notices_silence(&self) -> bool {
        self.silence <= NOTICED
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.closing, Closing::No) {
            if self.end.is_some() {
                return Poll::Ready(());
            }
            self.end = Some(LinkEnd::Disconnected);
            self.inbox = None;
            let leave = Frame::new(PacketId::Message, Packet::disconnect(&self.namespace));
            let close = Frame::new(PacketId::Close, Bytes::new());
            let limit = Box::pin(tokio::time::sleep_until(Instant::now() + CLOSE));
            self.closing = Closing::Yes(limit, vec![close, leave]);
        }
        loop {
            let Closing::Yes(limit, _) = &mut self.closing else { return Poll::Ready(()) };
            if limit.as_mut().poll(cx).is_ready() {
                return Poll::Ready(());
            }
            let sent = self.poll_sent(cx);
            let Closing::Yes(_, still) = &mut self.closing else { return Poll::Ready(()) };
            if let (Poll::Ready(()), Some(frame)) = (sent, still.pop()) {
                self.start(frame);
                continue;
            }
            // Until the plugin has closed, too; what it still sends is not wanted.
            match ready!(self.client.poll_next_unpin(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Poll::Ready(()),
            }
        }
    }
}
