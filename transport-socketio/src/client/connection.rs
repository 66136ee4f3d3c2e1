//! The TCP connection of a server of our own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::{DropGuard, WaitForCancellationFutureOwned};

use super::link::Connection;

/// A connection that this end can end, whatever the other end does.
///
/// Writing fails if for `silence` not one byte was taken: such an engine answers no ping either, and socketioxide,
/// which notices that, tells of it only once the write is over.
pub(super) struct TrackedStream<S> {
    stream: S,
    /// Reader and writer are two tasks, and each is woken.
    reading: Pin<Box<WaitForCancellationFutureOwned>>,
    writing: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Duration,
    stuck: Option<Pin<Box<Sleep>>>,
    sent: Arc<AtomicU64>,
    /// Tells that the connection is over, whoever has ended it.
    _over: DropGuard,
}

impl<S> TrackedStream<S> {
    pub(super) fn new(stream: S, connection: &Connection, silence: Duration) -> TrackedStream<S> {
        let ended = || Box::pin(connection.hangup.clone().cancelled_owned());
        let (sent, over) = (Arc::clone(&connection.sent), connection.hangup.clone().drop_guard());
        TrackedStream { stream, reading: ended(), writing: ended(), silence, stuck: None, sent, _over: over }
    }

    /// `write`, unless it takes too long.
    fn in_time<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.writing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let written = write(&mut self.stream, cx);
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let silence = self.silence;
        ready!(self.stuck.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence))).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.reading.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.in_time(cx, |stream, cx| Pin::new(stream).poll_write(cx, buf)))?;
        self.sent.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx, |stream, cx| Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.in_time(cx, |stream, cx| Pin::new(stream).poll_shutdown(cx))
    }
}
