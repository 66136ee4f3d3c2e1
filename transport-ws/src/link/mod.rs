//! A websocket as a [`Link`], for both ends.

mod close;
mod codec;
mod keepalive;
mod stream;
#[cfg(test)]
mod tests;

#[cfg(feature = "client")]
use std::cell::Cell;
#[cfg(feature = "client")]
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::{DecodeError, Link, LinkEnd, Message, PayloadError, SendError, Traffic};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{WebSocketStream, tungstenite as ws};
#[cfg(feature = "client")]
use transport_server::{MAX_PENDING_BYTES, Ticket};

use self::close::Closing;
use self::keepalive::{Due, Keepalive};
pub(crate) use self::stream::{TrackedStream, is_token};
use crate::config::WsConfig;

/// A text frame, or the kind of frame received instead.
pub(crate) type Inbound = Result<ws::Utf8Bytes, &'static str>;

/// The type of a boxed link: with the feature `stp` it also carries raw text frames.
#[cfg(feature = "stp")]
pub(crate) use crate::stp::TextLink as AnyLink;
/// A link that carries messages.
#[cfg(not(feature = "stp"))]
pub(crate) use connector_core::Link as AnyLink;

pub(crate) enum State {
    Open,
    /// The end is known, but not reported until the peer has had a chance to receive the Close.
    Closing(LinkEnd, Closing),
    Ended(LinkEnd),
}

pub(crate) struct WsLink<S> {
    pub(crate) ws: WebSocketStream<TrackedStream<S>>,
    pub(crate) state: State,
    pub(crate) keepalive: Keepalive,
    pub(crate) close_timeout: Duration,
    /// Accepted from the sender, but tungstenite's buffer was full of pongs.
    deferred: Option<ws::Message>,
    /// A queued ping needs a flush, which no sender may request.
    ping_unflushed: bool,
    max_message: usize,
    max_sent_message: usize,
    scratch: Vec<u8>,
    /// Occupies one of the server's places while the link exists.
    #[cfg(feature = "client")]
    ticket: Option<Arc<Ticket>>,
    /// The engine has not performed the plugin handshake.
    #[cfg(feature = "client")]
    pending: Cell<bool>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> WsLink<S> {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(ws: WebSocketStream<TrackedStream<S>>, config: &WsConfig) -> WsLink<S> {
        WsLink {
            ws,
            state: State::Open,
            keepalive: Keepalive::new(config),
            close_timeout: config.close_timeout,
            deferred: None,
            ping_unflushed: false,
            max_message: config.max_message,
            max_sent_message: config.max_sent_message,
            scratch: Vec::new(),
            #[cfg(feature = "client")]
            ticket: None,
            #[cfg(feature = "client")]
            pending: Cell::new(false),
        }
    }

    /// A server's link, limited until the plugin handshake.
    #[cfg(feature = "client")]
    pub(crate) fn pending(mut self, ticket: Arc<Ticket>) -> WsLink<S> {
        self.ticket = Some(ticket);
        self.pending.set(true);
        self.ws.get_ref().receive_limit.set(MAX_PENDING_BYTES);
        self
    }

    #[cfg(feature = "client")]
    fn is_displaced(&self, cx: &mut Context<'_>) -> bool {
        self.pending.get() && self.ticket.as_ref().is_some_and(|ticket| ticket.poll_displaced(cx).is_ready())
    }

    #[cfg(not(feature = "client"))]
    fn is_displaced(&self, _: &mut Context<'_>) -> bool {
        false
    }

    /// The end, once it may be reported.
    fn reported_end(&self) -> Option<&LinkEnd> {
        match &self.state {
            State::Ended(end) | State::Closing(end, Closing::Initiate { .. }) => Some(end),
            State::Open | State::Closing(..) => None,
        }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, LinkEnd>> {
        loop {
            if let Some(end) = self.reported_end() {
                return Poll::Ready(Err(end.clone()));
            }
            if let State::Closing(..) = self.state {
                return self.poll_closing(cx).map(Err);
            }
            match self.ws.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame {
                    ws::Message::Text(text) => return Poll::Ready(Ok(Ok(text))),
                    ws::Message::Binary(_) => return Poll::Ready(Ok(Err("binary frames"))),
                    ws::Message::Close(close) => self.start_closing(close::peer_closed(close), Closing::Reply),
                    ws::Message::Ping(_) | ws::Message::Pong(_) | ws::Message::Frame(_) => {}
                },
                Poll::Ready(Some(Err(error))) => match close::read_failed(error, self.max_message) {
                    (end, Some(close)) => {
                        // This fails only if the buffer is full; then the peer is not reading anyway.
                        let _ = self.ws.start_send_unpin(ws::Message::Close(Some(close)));
                        self.start_closing(end, Closing::Abort { shut: false });
                    }
                    (end, None) => self.state = State::Ended(end),
                },
                Poll::Ready(None) => self.state = State::Ended(close::unclean_end()),
                Poll::Pending => ready!(self.poll_idle(cx)),
            }
        }
    }

    /// Handles pings and a failed write when there is nothing to read. Ready when the state has changed.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ping_unflushed && self.poll_drain(cx).is_ready() {
            self.ping_unflushed = false;
        }
        // The peer has hung up, so what it had sent has arrived.
        if let Poll::Ready(end) = self.ws.get_mut().failed_write.poll_end(cx, Duration::ZERO) {
            self.state = State::Ended(end);
            return Poll::Ready(());
        }
        if self.is_displaced(cx) {
            self.state = State::Ended(LinkEnd::lost("displaced by a newer connection before the plugin handshake"));
            return Poll::Ready(());
        }
        let last_activity = self.ws.get_ref().last_activity;
        match ready!(self.keepalive.poll_due(cx, last_activity)) {
            Due::Ping => {
                // This fails only if the buffer is full; then the queued data serves as well as a ping.
                let _ = self.ws.start_send_unpin(ws::Message::Ping(Default::default()));
                self.ping_unflushed = true;
            }
            Due::Silent(time) => self.state = State::Ended(LinkEnd::Silent(time)),
        }
        Poll::Ready(())
    }

    fn write_frame(&mut self, frame: ws::Message) {
        match self.ws.start_send_unpin(frame) {
            Ok(()) => {}
            Err(ws::Error::WriteBufferFull(frame)) => self.deferred = Some(*frame),
            Err(error) => self.write_failed(error),
        }
    }

    fn write_failed(&mut self, error: ws::Error) {
        let end = match error {
            ws::Error::Io(error) => LinkEnd::lost(error),
            other => LinkEnd::lost(other),
        };
        self.ws.get_mut().failed_write.record(end);
    }

    /// Ready when every accepted frame is written, or discarded because a write failed.
    pub(crate) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Err(error) = ready!(self.ws.poll_flush_unpin(cx)) {
                self.write_failed(error);
            }
            match self.deferred.take() {
                Some(frame) if !self.ws.get_ref().failed_write.is_recorded() => self.write_frame(frame),
                _ => return Poll::Ready(()),
            }
        }
    }

    /// Sends a frame whose size has been checked.
    pub(crate) fn send_frame(&mut self, frame: ws::Message) -> Result<(), SendError> {
        if let Some(end) = self.reported_end() {
            return Err(end.clone().into());
        }
        if self.deferred.is_some() {
            return Err(PayloadError::NotSerializable("sent on a link that was not ready".to_owned()).into());
        }
        // A closing link accepts the message and loses it, as it would a moment later.
        if let State::Open = self.state {
            self.write_frame(frame);
        }
        Ok(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Link for WsLink<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if !matches!(self.state, State::Open) {
            return self.poll_frame(cx).map(|inbound| inbound.map(drop));
        }
        if self.deferred.is_some() {
            ready!(self.poll_drain(cx));
        } else if let Err(error) = ready!(self.ws.poll_ready_unpin(cx)) {
            self.write_failed(error);
        }
        self.ws.get_mut().failed_write.poll_sending(cx).map(Ok)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        if let Some(end) = self.reported_end() {
            return Err(end.clone().into());
        }
        let frame = codec::encode(&message, self.max_sent_message, &mut self.scratch)?;
        // Before tungstenite copies the frame: a large message then exists at most twice.
        drop(message);
        self.send_frame(frame)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if !matches!(self.state, State::Open) {
            return self.poll_frame(cx).map(|inbound| inbound.map(drop));
        }
        ready!(self.poll_drain(cx));
        self.ws.get_mut().failed_write.poll_sending(cx).map(Ok)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let inbound = ready!(self.poll_frame(cx))?;
        Poll::Ready(Ok(match inbound {
            Ok(text) => Message::decode(text.into()),
            Err(what) => Err(DecodeError::WrongFrame(what)),
        }))
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Open = self.state {
            self.start_closing(LinkEnd::Disconnected, Closing::Initiate { sent: false });
        }
        self.poll_closing(cx).map(drop)
    }

    fn traffic(&self) -> Traffic {
        self.ws.get_ref().traffic
    }

    fn notices_silence(&self) -> bool {
        self.keepalive.is_enabled()
    }

    fn max_message(&self) -> Option<usize> {
        Some(self.max_message.max(self.max_sent_message))
    }

    #[cfg(feature = "client")]
    fn handshake_completed(&self) {
        if let Some(ticket) = &self.ticket {
            ticket.admit();
        }
        self.pending.set(false);
        self.ws.get_ref().receive_limit.set(u64::MAX);
    }
}
