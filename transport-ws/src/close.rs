//! How a link ends: what is said of it, and what the other end is still told.

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

use crate::link::{State, WsLink};

/// A Close frame without a code (RFC 6455, 7.1.5).
const NO_CODE: u16 = 1005;

/// What is left to do before a link's end is said.
#[derive(Debug, Clone, Copy)]
pub(crate) enum How {
    /// The other end's Close has come: what is left to write, our own Close last, goes out (tungstenite has it ready).
    Answer,
    /// The other end broke the protocol and is told so. Its bytes are read and dropped until it hangs up: a socket
    /// closed with bytes unread is reset, and the reset would overtake the Close.
    Fail { shut: bool },
    /// This end closes: it sends its Close after what is left to write, then waits for the answer.
    Leave { sent: bool },
}

/// The end that the other end's Close tells.
pub(crate) fn closed(close: Option<CloseFrame>) -> LinkEnd {
    match close {
        Some(close) => LinkEnd::Closed { code: Some(close.code.into()), reason: close.reason.as_str().to_owned() },
        None => LinkEnd::Closed { code: Some(NO_CODE), reason: String::new() },
    }
}

/// The end of a connection that is gone without a Close.
pub(crate) fn without_close() -> LinkEnd {
    LinkEnd::lost(io::Error::new(io::ErrorKind::UnexpectedEof, "the connection ended without a close"))
}

/// The end that an error of reading means, and the Close that tells the other end, if it can be told.
pub(crate) fn broken(error: ws::Error, limit: usize) -> (LinkEnd, Option<CloseFrame>) {
    // A reason has at most 123 bytes.
    let close = |code, reason| Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) });
    match error {
        ws::Error::Capacity(CapacityError::MessageTooLong { .. }) => {
            (LinkEnd::TooLarge { limit }, close(CloseCode::Size, "message over the limit"))
        }
        ws::Error::Utf8(text) => {
            (LinkEnd::BadFrame(format!("text that is not UTF-8: {text}")), close(CloseCode::Invalid, "not UTF-8"))
        }
        ws::Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => (without_close(), None),
        ws::Error::Protocol(error) => {
            (LinkEnd::BadFrame(error.to_string()), close(CloseCode::Protocol, "protocol error"))
        }
        ws::Error::Io(error) => (LinkEnd::lost(error), None),
        error => (LinkEnd::lost(error), None),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> WsLink<S> {
    pub(crate) fn begin(&mut self, end: LinkEnd, how: How) {
        self.keepalive.start_closing(self.close_timeout);
        self.state = State::Ending(end, how);
    }

    /// Ready when the link has ended; at the latest after the close timeout.
    pub(crate) fn poll_ending(&mut self, cx: &mut Context<'_>) -> Poll<LinkEnd> {
        let how = match &self.state {
            State::Ended(end) => return Poll::Ready(end.clone()),
            State::Open => return Poll::Pending,
            State::Ending(_, how) => *how,
        };
        // Asked first: a peer that sends without end uses up the task's budget, and without budget no timer fires.
        let traffic = self.ws.get_ref().traffic;
        let late = self.keepalive.poll_closing(cx, traffic).is_ready();
        let done = match how {
            How::Answer => self.poll_answered(cx),
            How::Fail { shut } => self.poll_failed(cx, shut),
            How::Leave { sent } => self.poll_left(cx, sent),
        };
        if done.is_pending() && !late {
            return Poll::Pending;
        }
        let State::Ending(end, _) = &self.state else { return Poll::Pending };
        let end = end.clone();
        self.state = State::Ended(end.clone());
        Poll::Ready(end)
    }

    fn now(&mut self, next: How) {
        if let State::Ending(_, how) = &mut self.state {
            *how = next;
        }
    }

    fn poll_answered(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let _ = ready!(self.ws.poll_flush_unpin(cx));
        // Both Closes are out, so the connection is done. This also flushes TLS, which tungstenite leaves to others
        // after a server's last frame.
        Pin::new(self.ws.get_mut()).poll_shutdown(cx).map(drop)
    }

    fn poll_failed(&mut self, cx: &mut Context<'_>, shut: bool) -> Poll<()> {
        if !shut && self.ws.poll_flush_unpin(cx).is_ready() && Pin::new(self.ws.get_mut()).poll_shutdown(cx).is_ready()
        {
            self.now(How::Fail { shut: true });
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

    fn poll_left(&mut self, cx: &mut Context<'_>, mut sent: bool) -> Poll<()> {
        if !sent && self.poll_written(cx).is_ready() {
            let close = CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() };
            let _ = self.ws.start_send_unpin(ws::Message::Close(Some(close)));
            sent = true;
            self.now(How::Leave { sent });
        }
        if sent {
            let _ = self.ws.poll_flush_unpin(cx);
        }
        loop {
            match ready!(self.ws.poll_next_unpin(cx)) {
                // Whether it answers ours or crossed it on the way, ours may not be out yet.
                Some(Ok(ws::Message::Close(_))) => {
                    self.now(How::Answer);
                    return self.poll_answered(cx);
                }
                Some(Err(_)) | None => return Poll::Ready(()),
                Some(Ok(_)) => {}
            }
        }
    }
}
