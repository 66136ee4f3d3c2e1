//! Closes a link: reports its end, and sends the remaining frames to the peer.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use connector_core::LinkEnd;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite as ws;
use ws::error::{CapacityError, ProtocolError};
use ws::protocol::CloseFrame;
use ws::protocol::frame::Utf8Bytes;
use ws::protocol::frame::coding::CloseCode;

use super::stream::ReceiveLimit;
use super::{State, WsLink};

/// A Close frame without a code (RFC 6455, 7.1.5).
const NO_CODE: u16 = 1005;

/// The work left before a link's end is reported.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Closing {
    /// The peer sent a Close. Flush the remaining frames and the Close that tungstenite has queued in reply.
    Reply,
    /// The peer violated the protocol and is sent a Close with the reason. Its bytes are discarded until it hangs up:
    /// closing a socket with unread bytes resets it, and the reset would overtake the Close.
    Abort { shut: bool },
    /// This end closes: send the remaining frames and a Close, then wait for the peer's Close.
    Initiate { sent: bool },
}

/// The `LinkEnd` for the peer's Close frame.
pub(crate) fn peer_closed(close: Option<CloseFrame>) -> LinkEnd {
    match close {
        Some(close) => LinkEnd::Closed { code: Some(close.code.into()), reason: close.reason.as_str().to_owned() },
        None => LinkEnd::Closed { code: Some(NO_CODE), reason: String::new() },
    }
}

/// The end of a connection that closed without a Close frame.
pub(crate) fn unclean_end() -> LinkEnd {
    LinkEnd::lost(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended without a close frame"))
}

/// The end that a read error stands for, and the Close to send if the connection still works.
pub(crate) fn read_failed(error: ws::Error, limit: usize) -> (LinkEnd, Option<CloseFrame>) {
    // RFC 6455 limits a reason to 123 bytes.
    let close = |code, reason| Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) });
    match error {
        ws::Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            (LinkEnd::TooLarge { limit }, close(CloseCode::Size, "message exceeds the limit"))
        }
        ws::Error::Utf8(text) => {
            (LinkEnd::BadFrame(format!("text that is not UTF-8: {text}")), close(CloseCode::Invalid, "not UTF-8"))
        }
        ws::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => (unclean_end(), None),
        ws::Error::Protocol(error) => {
            (LinkEnd::BadFrame(error.to_string()), close(CloseCode::Protocol, "protocol error"))
        }
        ws::Error::Io(error) => match error.get_ref().and_then(|error| error.downcast_ref()) {
            Some(ReceiveLimit(limit)) => {
                let limit = usize::try_from(*limit).unwrap_or(usize::MAX);
                (LinkEnd::TooLarge { limit }, close(CloseCode::Size, "too much before the plugin handshake"))
            }
            None => (LinkEnd::lost(error), None),
        },
        error => (LinkEnd::lost(error), None),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> WsLink<S> {
    pub(crate) fn start_closing(&mut self, end: LinkEnd, closing: Closing) {
        self.keepalive.start_closing(self.close_timeout);
        self.state = State::Closing(end, closing);
    }

    /// Ready when the link has ended, which takes a bounded time.
    pub(crate) fn poll_closing(&mut self, cx: &mut Context<'_>) -> Poll<LinkEnd> {
        let closing = match &self.state {
            State::Ended(end) => return Poll::Ready(end.clone()),
            State::Open => return Poll::Pending,
            State::Closing(_, closing) => *closing,
        };
        // Polled first: a peer that floods the link exhausts the task's budget, and then timers do not fire.
        let traffic = self.ws.get_ref().traffic;
        let timed_out = self.keepalive.poll_closing(cx, traffic).is_ready();
        let done = match closing {
            Closing::Reply => self.poll_reply(cx),
            Closing::Abort { shut } => self.poll_abort(cx, shut),
            Closing::Initiate { sent } => self.poll_initiate(cx, sent),
        };
        if done.is_pending() && !timed_out {
            return Poll::Pending;
        }
        let State::Closing(end, _) = &self.state else { return Poll::Pending };
        let end = end.clone();
        self.state = State::Ended(end.clone());
        Poll::Ready(end)
    }

    fn advance(&mut self, next: Closing) {
        if let State::Closing(_, closing) = &mut self.state {
            *closing = next;
        }
    }

    fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = ready!(self.ws.poll_flush_unpin(cx));
        // Both Closes are sent. Shutting down also flushes TLS, which tungstenite does not do after a server's last
        // frame.
        Pin::new(self.ws.get_mut()).poll_shutdown(cx).map(drop)
    }

    fn poll_abort(&mut self, cx: &mut Context<'_>, shut: bool) -> Poll<()> {
        if !shut && self.ws.poll_flush_unpin(cx).is_ready() && Pin::new(self.ws.get_mut()).poll_shutdown(cx).is_ready()
        {
            self.advance(Closing::Abort { shut: true });
        }
        let mut space = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut space);
            match ready!(Pin::new(self.ws.get_mut()).poll_read(cx, &mut buf)) {
                Ok(()) if !buf.filled().is_empty() => {}
                Ok(()) | Err(_) => return Poll::Ready(()),
            }
        }
    }

    fn poll_initiate(&mut self, cx: &mut Context<'_>, mut sent: bool) -> Poll<()> {
        if !sent && self.poll_drain(cx).is_ready() {
            let close = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
            let _ = self.ws.start_send_unpin(ws::Message::Close(Some(close)));
            sent = true;
            self.advance(Closing::Initiate { sent });
        }
        if sent {
            let _ = self.ws.poll_flush_unpin(cx);
        }
        loop {
            match ready!(self.ws.poll_next_unpin(cx)) {
                // It may have crossed this end's Close, which may still be unsent.
                Some(Ok(ws::Message::Close(_))) => {
                    self.advance(Closing::Reply);
                    return self.poll_reply(cx);
                }
                Some(Err(_)) | None => return Poll::Ready(()),
                Some(Ok(_)) => {}
            }
        }
    }
}
