//! The byte stream under a websocket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Whether `name` may stand where HTTP wants a token (RFC 9110, section 5.6.2), as a subprotocol does.
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// A byte stream that knows when it last heard something, and on which a failed write does not end reading.
///
/// tungstenite flushes while it reads and gives up on the first error, so what has arrived before a reset would be
/// lost. Here a write that failed is remembered in [`Wire::failed`] and later ones go nowhere, until the reader is
/// done.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    inner: S,
    /// When the last byte came, or the stream was made.
    pub(crate) heard: Instant,
    /// The first write's error.
    pub(crate) failed: Option<io::Error>,
}

impl<S> Wire<S> {
    pub(crate) fn new(inner: S) -> Wire<S> {
        Wire { inner, heard: Instant::now(), failed: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let poll = Pin::new(&mut self.inner).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.heard = Instant::now();
        }
        poll
    }
}

impl<S: AsyncWrite + Unpin> Wire<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.failed.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        let poll = match Pin::new(&mut self.inner).poll_write(cx, buf) {
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
