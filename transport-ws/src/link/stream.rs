//! The byte stream below a websocket.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use connector_core::{FailedWrite, Traffic};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Whether `name` is an HTTP token (RFC 9110, section 5.6.2), as subprotocols must be.
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A byte stream that tracks the peer's activity, and stays readable after a failed write.
///
/// tungstenite flushes while it reads and stops at the first error, which would lose data received before a reset. This
/// stream records the error in [`TrackedStream::failed_write`] and discards later writes until everything is read.
#[derive(Debug)]
pub(crate) struct TrackedStream<S> {
    inner: S,
    /// When the peer was last active: it sent a byte, or accepted one after the stream was blocked. Initially the
    /// stream's creation.
    pub(crate) last_activity: Instant,
    /// The last write found no capacity.
    blocked: bool,
    pub(crate) traffic: Traffic,
    /// The number of received bytes at which reading fails with [`ReceiveLimit`].
    pub(crate) receive_limit: Cell<u64>,
    pub(crate) failed_write: FailedWrite,
}

/// The peer has sent more than this many bytes before the plugin handshake.
#[derive(Debug)]
pub(crate) struct ReceiveLimit(pub(crate) u64);

impl fmt::Display for ReceiveLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "more than {} bytes before the plugin handshake", self.0)
    }
}

impl std::error::Error for ReceiveLimit {}

impl<S> TrackedStream<S> {
    pub(crate) fn new(inner: S) -> TrackedStream<S> {
        TrackedStream {
            inner,
            last_activity: Instant::now(),
            blocked: false,
            traffic: Traffic::default(),
            receive_limit: Cell::new(u64::MAX),
            failed_write: FailedWrite::default(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        if read > 0 {
            self.last_activity = Instant::now();
            self.traffic.received += read as u64;
            if self.traffic.received > self.receive_limit.get() {
                // What follows is discarded until the peer has received the Close.
                let limit = self.receive_limit.replace(u64::MAX);
                buf.set_filled(before);
                return Poll::Ready(Err(io::Error::other(ReceiveLimit(limit))));
            }
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> TrackedStream<S> {
    /// Records a write error and reports `done` instead.
    fn record_error<T>(&mut self, poll: Poll<io::Result<T>>, done: T) -> Poll<io::Result<T>> {
        match poll {
            Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                self.failed_write.record(error);
                Poll::Ready(Ok(done))
            }
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.failed_write.is_recorded() {
            return Poll::Ready(Ok(buf.len()));
        }
        let poll = match Pin::new(&mut self.inner).poll_write(cx, buf) {
            Poll::Ready(Ok(written)) if written > 0 => {
                self.traffic.sent += written as u64;
                // The peer reads, though it cannot answer a ping queued behind data that it has not read yet.
                if std::mem::take(&mut self.blocked) {
                    self.last_activity = Instant::now();
                }
                return Poll::Ready(Ok(written));
            }
            Poll::Pending => {
                // When the task's budget is exhausted, tokio returns pending even if there is capacity.
                self.blocked |= tokio::task::coop::has_budget_remaining();
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) if !buf.is_empty() => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            other => other,
        };
        self.record_error(poll, buf.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed_write.is_recorded() {
            return Poll::Ready(Ok(()));
        }
        let poll = Pin::new(&mut self.inner).poll_flush(cx);
        self.record_error(poll, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed_write.is_recorded() {
            return Poll::Ready(Ok(()));
        }
        let poll = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.record_error(poll, ())
    }
}
