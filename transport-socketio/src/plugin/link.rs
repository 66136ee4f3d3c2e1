//! A connection to a socket.io server as a [`Link`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use connector_core::{DecodeError, FailedWrite, Link, LinkEnd, Message, SendError};
use futures_util::StreamExt;
use rust_engineio::asynchronous::Client;
use rust_engineio::{Error, Packet as Frame, PacketId};
use tokio::time::{Instant, Sleep};
use tokio_util::sync::ReusableBoxFuture;

use super::errors;
use crate::codec::{self, Packet};
use crate::config::CLOSE_TIMEOUT;

/// Sends one frame, and returns the client.
type Sending = ReusableBoxFuture<'static, (Client, Result<(), Error>)>;

/// How long to read once more before the plugin counts as silent: after a pause of this process, frames may be waiting.
const LAST_READ: Duration = Duration::from_secs(1);

pub(super) struct EngineIoLink {
    /// None after a disconnect.
    client: Option<Client>,
    namespace: String,
    max_message: usize,
    sending: Sending,
    /// The client for the next frame, unless a frame is being sent.
    sender: Option<Client>,
    failed_write: FailedWrite,
    closing: Closing,
    /// Outstanding binary frames of an event. rust_engineio yields them as if they were packets.
    attachments: usize,
    /// The time without a frame after which the plugin counts as silent.
    silence: Duration,
    last_activity: Instant,
    silence_timer: Pin<Box<Sleep>>,
    /// The deadline has passed once, and [`LAST_READ`] is running.
    overdue: bool,
    end: Option<LinkEnd>,
}

enum Closing {
    No,
    /// The time limit, and the frames left to send in reverse order.
    Yes(Pin<Box<Sleep>>, Vec<Frame>),
}

impl EngineIoLink {
    pub(super) fn new(client: Client, namespace: String, max_message: usize) -> EngineIoLink {
        let sender = Some(client.clone());
        let sending = ReusableBoxFuture::new(std::future::pending());
        let silence = silence(&client);
        EngineIoLink {
            client: Some(client),
            namespace,
            max_message,
            sending,
            sender,
            failed_write: FailedWrite::default(),
            closing: Closing::No,
            attachments: 0,
            silence,
            last_activity: Instant::now(),
            silence_timer: Box::pin(tokio::time::sleep(silence)),
            overdue: false,
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

    /// Ready when no frame is being sent.
    fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sender.is_none() {
            let (client, sent) = ready!(self.sending.poll(cx));
            self.sender = Some(client);
            if let Err(error) = sent {
                self.failed_write.record(errors::of_link(error));
            }
        }
        Poll::Ready(())
    }

    /// Like [`poll_sent`](EngineIoLink::poll_sent), unless the link has ended or a write has failed.
    fn poll_writing(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.ended()?;
        ready!(self.poll_sent(cx));
        self.failed_write.poll_sending(cx).map(Ok)
    }

    /// Called when there is nothing to read. Ready with the end after a failed write or a timeout.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<LinkEnd> {
        // The peer has hung up, so what it had sent has arrived.
        if let Poll::Ready(end) = self.failed_write.poll_end(cx, Duration::ZERO) {
            return Poll::Ready(end);
        }
        // rust_engineio's own timeout waits for a stalled write, which is when it would be needed.
        loop {
            ready!(self.silence_timer.as_mut().poll(cx));
            let (now, deadline) = (Instant::now(), self.last_activity + self.silence);
            self.overdue = match (deadline <= now, self.overdue) {
                (true, true) => return Poll::Ready(LinkEnd::Silent(self.silence)),
                (overdue, _) => overdue,
            };
            self.silence_timer.as_mut().reset(if self.overdue { now + LAST_READ } else { deadline });
        }
    }

    /// The next frame. None once the connection is closed.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, Error>>> {
        self.client.as_mut().map_or(Poll::Ready(None), |client| client.poll_next_unpin(cx))
    }

    /// Closes the connection, even if a frame is half sent.
    fn close(&mut self) {
        (self.client, self.sender) = (None, None);
        self.sending.set(std::future::pending());
    }

    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Bytes, DecodeError>, LinkEnd>> {
        loop {
            if let Some(end) = &self.end {
                return Poll::Ready(Err(end.clone()));
            }
            let frame = match self.poll_frame(cx) {
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
            self.last_activity = Instant::now();
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
            match Packet::parse(&frame.data, &self.namespace) {
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

/// A server's announcement cannot make the silence limit longer than this.
const MAX_ANNOUNCED: Duration = Duration::from_secs(300);

/// If detecting silence takes longer than this, it is left to the engine.
const MAX_SILENCE: Duration = Duration::from_secs(20);

/// The time without a ping after which the plugin counts as silent. The handshake announces it, but rust_engineio
/// exposes it only in its `Debug` output.
fn silence(client: &Client) -> Duration {
    announced_silence(&format!("{client:?}"))
}

fn announced_silence(printed: &str) -> Duration {
    let number = |name: &str| {
        let (_, text) = printed.rsplit_once(name)?;
        text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    match (number("ping_interval: "), number("ping_timeout: ")) {
        (Some(interval), Some(timeout)) => {
            Duration::from_millis(u64::saturating_add(interval, timeout)).min(MAX_ANNOUNCED)
        }
        // socket.io's defaults.
        _ => Duration::from_secs(45),
    }
}

fn closed(reason: &str) -> LinkEnd {
    LinkEnd::Closed { code: None, reason: reason.to_owned() }
}

impl Link for EngineIoLink {
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
        let event = ready!(self.poll_inbound(cx))?;
        Poll::Ready(Ok(event.and_then(|event| codec::decode(&event))))
    }

    /// Detected by the plugin's pings, unless its intervals are too long.
    fn notices_silence(&self) -> bool {
        self.silence <= MAX_SILENCE
    }

    fn max_message(&self) -> Option<usize> {
        Some(self.max_message)
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.closing, Closing::No) {
            if self.end.is_some() {
                return Poll::Ready(());
            }
            self.end = Some(LinkEnd::Disconnected);
            let leave = Frame::new(PacketId::Message, Packet::disconnect(&self.namespace));
            let close = Frame::new(PacketId::Close, Bytes::new());
            let limit = Box::pin(tokio::time::sleep_until(Instant::now() + CLOSE_TIMEOUT));
            self.closing = Closing::Yes(limit, vec![close, leave]);
        }
        while self.client.is_some() {
            let sent = self.poll_sent(cx);
            let Closing::Yes(limit, frames) = &mut self.closing else { break };
            if limit.as_mut().poll(cx).is_ready() {
                self.close();
            } else if let (Poll::Ready(()), Some(frame)) = (sent, frames.pop()) {
                self.start(frame);
            // Wait until the plugin closes as well, and discard its frames.
            } else if !matches!(ready!(self.poll_frame(cx)), Some(Ok(_))) {
                self.close();
            }
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_announced_silence_is_bounded() {
        let of = |interval, timeout| {
            announced_silence(&format!("ping_interval: {interval}, ping_timeout: {timeout}")).as_millis()
        };
        assert_eq!(of(5_000, 10_000), 15_000);
        assert_eq!(of(1_000_000_000_000, 1), 300_000);
        assert_eq!(of(u64::MAX, u64::MAX), 300_000);
        assert_eq!(announced_silence("").as_secs(), 45);
    }
}
