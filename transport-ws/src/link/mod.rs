//! One websocket as a [`Link`], the same at either end.

#[cfg(test)]
mod tests;

use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::{DecodeError, Link, LinkEnd, Message, PayloadError, SendError, Traffic};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;
use tokio_tungstenite::{WebSocketStream, tungstenite as ws};

use crate::close::{self, How};
use crate::codec;
use crate::config::WsConfig;
use crate::keepalive::{Due, Keepalive};
use crate::stream::TrackedStream;

/// A text frame, or the name of what came instead of one.
pub(crate) type Inbound = Result<ws::Utf8Bytes, &'static str>;

/// A link of messages that also carries text frames as they are.
#[cfg(feature = "stp")]
pub(crate) trait AnyLink: Link + crate::stp::TextLink {}
#[cfg(feature = "stp")]
impl<T: Link + crate::stp::TextLink> AnyLink for T {}
/// A link of messages.
#[cfg(not(feature = "stp"))]
pub(crate) trait AnyLink: Link {}
#[cfg(not(feature = "stp"))]
impl<T: Link> AnyLink for T {}

pub(crate) enum State {
    Open,
    /// How it ends is known, but not said before the other end had its chance to learn it too.
    Ending(LinkEnd, How),
    Ended(LinkEnd),
}

pub(crate) struct WsLink<S> {
    pub(crate) ws: WebSocketStream<TrackedStream<S>>,
    pub(crate) state: State,
    pub(crate) keepalive: Keepalive,
    pub(crate) close_timeout: Duration,
    /// Read while a failed write was looked into; the next to be handed out.
    inbox: Option<Inbound>,
    /// Taken from the sender, but tungstenite's buffer was full of pongs.
    stash: Option<ws::Message>,
    /// A ping waits for a flush that no sender may ask for.
    ping_waits: bool,
    max_message: usize,
    max_sent_message: usize,
    scratch: Vec<u8>,
    /// Counted among the server's links for as long as this one lives.
    _permit: Option<OwnedSemaphorePermit>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> WsLink<S> {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(
        ws: WebSocketStream<TrackedStream<S>>,
        config: &WsConfig,
        permit: Option<OwnedSemaphorePermit>,
    ) -> WsLink<S> {
        WsLink {
            ws,
            state: State::Open,
            keepalive: Keepalive::new(config),
            close_timeout: config.close_timeout,
            inbox: None,
            stash: None,
            ping_waits: false,
            max_message: config.max_message,
            max_sent_message: config.send_limit(),
            scratch: Vec::new(),
            _permit: permit,
        }
    }

    /// The end, once it may be said.
    fn said(&self) -> Option<&LinkEnd> {
        match &self.state {
            State::Ended(end) | State::Ending(end, How::Leave { .. }) => Some(end),
            State::Open | State::Ending(..) => None,
        }
    }

    fn poll_inbound(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, LinkEnd>> {
        loop {
            if let Some(end) = self.said() {
                return Poll::Ready(Err(end.clone()));
            }
            if let State::Ending(..) = self.state {
                return self.poll_ending(cx).map(Err);
            }
            match self.ws.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame {
                    ws::Message::Text(text) => return Poll::Ready(Ok(Ok(text))),
                    ws::Message::Binary(_) => return Poll::Ready(Ok(Err("binary frames"))),
                    ws::Message::Close(close) => self.begin(close::closed(close), How::Answer),
                    ws::Message::Ping(_) | ws::Message::Pong(_) | ws::Message::Frame(_) => {}
                },
                Poll::Ready(Some(Err(error))) => match close::broken(error, self.max_message) {
                    (end, Some(close)) => {
                        // It fails only for a full buffer: then the other end has not read for long anyway.
                        let _ = self.ws.start_send_unpin(ws::Message::Close(Some(close)));
                        self.begin(end, How::Fail { shut: false });
                    }
                    (end, None) => self.state = State::Ended(end),
                },
                Poll::Ready(None) => self.state = State::Ended(close::without_close()),
                Poll::Pending => ready!(self.poll_idle(cx)),
            }
        }
    }

    /// Nothing is there to read: sees to the pings, and to a write that has failed meanwhile. Ready when that changed
    /// something.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ping_waits && self.poll_written(cx).is_ready() {
            self.ping_waits = false;
        }
        // Without budget tokio says "pending" though there may be something, and wakes the task to look again.
        if self.ws.get_ref().failed.is_some() && tokio::task::coop::has_budget_remaining() {
            let error = self.ws.get_mut().failed.take();
            self.state = State::Ended(error.map_or_else(close::without_close, LinkEnd::lost));
            return Poll::Ready(());
        }
        let heard = self.ws.get_ref().heard;
        match ready!(self.keepalive.poll_due(cx, heard)) {
            Due::Ping => {
                // It fails only for a full buffer: the other end hears of us when it reads, and is heard if it speaks.
                let _ = self.ws.start_send_unpin(ws::Message::Ping(Default::default()));
                self.ping_waits = true;
            }
            Due::Silent(time) => self.state = State::Ended(LinkEnd::Silent(time)),
        }
        Poll::Ready(())
    }

    fn push(&mut self, frame: ws::Message) {
        match self.ws.start_send_unpin(frame) {
            Ok(()) => {}
            Err(ws::Error::WriteBufferFull(frame)) => self.stash = Some(*frame),
            Err(error) => self.write_failed(error),
        }
    }

    fn write_failed(&mut self, error: ws::Error) {
        let error = match error {
            ws::Error::Io(error) => error,
            other => std::io::Error::other(other),
        };
        self.ws.get_mut().failed.get_or_insert(error);
    }

    /// Ready when everything taken has gone to the transport, or nowhere because a write has failed.
    pub(crate) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Err(error) = ready!(self.ws.poll_flush_unpin(cx)) {
                self.write_failed(error);
            }
            match self.stash.take() {
                Some(frame) if self.ws.get_ref().failed.is_none() => self.push(frame),
                _ => return Poll::Ready(()),
            }
        }
    }

    /// What a writer says: if writing has failed, only after everything that had arrived was handed out.
    fn poll_wrote(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if self.ws.get_ref().failed.is_none() {
            return Poll::Ready(Ok(()));
        }
        if self.inbox.is_none() {
            match ready!(self.poll_inbound(cx)) {
                Err(end) => return Poll::Ready(Err(end)),
                Ok(inbound) => {
                    self.inbox = Some(inbound);
                    cx.waker().wake_by_ref();
                }
            }
        }
        Poll::Pending
    }

    pub(crate) fn poll_ready_for_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if !matches!(self.state, State::Open) {
            return self.poll_inbound(cx).map(|inbound| inbound.map(drop));
        }
        if self.stash.is_some() {
            ready!(self.poll_written(cx));
        } else if let Err(error) = ready!(self.ws.poll_ready_unpin(cx)) {
            self.write_failed(error);
        }
        self.poll_wrote(cx)
    }

    /// Takes a frame whose size was checked.
    pub(crate) fn send_frame(&mut self, frame: ws::Message) -> Result<(), SendError> {
        if let Some(end) = self.said() {
            return Err(end.clone().into());
        }
        if self.stash.is_some() {
            return Err(PayloadError::NotSerializable("sent to a link that was not ready".to_owned()).into());
        }
        // A link that is ending takes the message and loses it, as it would a moment later.
        if let State::Open = self.state {
            self.push(frame);
        }
        Ok(())
    }

    pub(crate) fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if !matches!(self.state, State::Open) {
            return self.poll_inbound(cx).map(|inbound| inbound.map(drop));
        }
        ready!(self.poll_written(cx));
        self.poll_wrote(cx)
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, LinkEnd>> {
        match self.inbox.take() {
            Some(inbound) => Poll::Ready(Ok(inbound)),
            None => self.poll_inbound(cx),
        }
    }

    pub(crate) fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Open = self.state {
            self.inbox = None;
            self.begin(LinkEnd::Disconnected, How::Leave { sent: false });
        }
        self.poll_ending(cx).map(drop)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Link for WsLink<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_ready_for_frame(cx)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        if let Some(end) = self.said() {
            return Err(end.clone().into());
        }
        let frame = codec::encode(&message, self.max_sent_message, &mut self.scratch)?;
        self.send_frame(frame)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_flushed(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let inbound = ready!(self.poll_frame(cx))?;
        Poll::Ready(Ok(match inbound {
            Ok(text) => Message::decode(text.into()),
            Err(what) => Err(DecodeError::WrongFrame(what)),
        }))
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_closed(cx)
    }

    fn traffic(&self) -> Traffic {
        self.ws.get_ref().traffic
    }

    fn notices_silence(&self) -> bool {
        self.keepalive.is_on()
    }
}
