//! The byte stream under a websocket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use connector_core::Traffic;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Whether `name` may stand where HTTP wants a token (RFC 9110, section 5.6.2), as a subprotocol does.
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A byte stream that knows when it last heard something, and on which a failed write does not end reading.
///
/// tungstenite flushes while it reads and gives up on the first error, so what has arrived before a reset would be
/// lost. Here a write that failed is remembered in [`TrackedStream::failed`] and later ones go nowhere, until the reader is
/// done.
#[derive(Debug)]
pub(crate) struct TrackedStream<S> {
    inner: S,
    /// When the other end last gave a sign of life: a byte that came, or room for one that had to wait. At first when
    /// the stream was made.
    pub(crate) heard: Instant,
    /// A byte has to wait: there was no room.
    full: bool,
    pub(crate) traffic: Traffic,
    /// The first write's error.
    pub(crate) failed: Option<io::Error>,
}

impl<S> TrackedStream<S> {
    pub(crate) fn new(inner: S) -> TrackedStream<S> {
        TrackedStream { inner, heard: Instant::now(), full: false, traffic: Traffic::default(), failed: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        let read = buf.filled().len() - before;
        if read > 0 {
            self.heard = Instant::now();
            self.traffic.received += read as u64;
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> TrackedStream<S> {
    /// `done` is what a write that goes nowhere says.
    fn swallow<T>(&mut self, poll: Poll<io::Result<T>>, done: T) -> Poll<io::Result<T>> {
        match poll {
            Poll::Ready(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                self.failed.get_or_insert(error);
                Poll::Ready(Ok(done))
            }
            other => other,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.failed.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        let poll = match Pin::new(&mut self.inner).poll_write(cx, buf) {
            Poll::Ready(Ok(written)) if written > 0 => {
                self.traffic.sent += written as u64;
                // It reads, though it cannot answer a ping that waits behind what it has not read yet.
                if std::mem::take(&mut self.full) {
                    self.heard = Instant::now();
                }
                return Poll::Ready(Ok(written));
            }
            Poll::Pending => {
                // Without budget tokio says "pending" though there may be room.
                self.full |= tokio::task::coop::has_budget_remaining();
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) if !buf.is_empty() => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            other => other,
        };
        self.swallow(poll, buf.len())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed.is_some() {
            return Poll::Ready(Ok(()));
        }
        let poll = Pin::new(&mut self.inner).poll_flush(cx);
        self.swallow(poll, ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.failed.is_some() {
            return Poll::Ready(Ok(()));
        }
        let poll = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.swallow(poll, ())
    }
}
