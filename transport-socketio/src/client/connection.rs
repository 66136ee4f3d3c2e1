//! A TCP connection of a standalone server.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::{DropGuard, WaitForCancellationFutureOwned};

use transport_server::MAX_PENDING_BYTES;

use super::link::Connection;
use super::sessions::Sessions;

/// A byte stream that counts sent bytes, and that this end can close whatever the peer does.
///
/// A write fails if the peer accepts no byte for `silence`. Such a peer does not answer pings either, but socketioxide
/// reports that only after the write has ended.
pub(super) struct TrackedStream<S> {
    stream: S,
    /// Separate futures, because reader and writer are separate tasks.
    reading: Pin<Box<WaitForCancellationFutureOwned>>,
    writing: Pin<Box<WaitForCancellationFutureOwned>>,
    silence: Duration,
    stall: Option<Pin<Box<Sleep>>>,
    connection: Connection,
    sessions: Sessions,
    /// Bytes received while pending.
    received: u64,
    /// Cancels `hangup` when the connection is dropped.
    _guard: DropGuard,
}

impl<S> TrackedStream<S> {
    pub(super) fn new(stream: S, connection: &Connection, silence: Duration, sessions: Sessions) -> TrackedStream<S> {
        let cancelled = || Box::pin(connection.hangup.clone().cancelled_owned());
        TrackedStream {
            stream,
            reading: cancelled(),
            writing: cancelled(),
            silence,
            stall: None,
            connection: connection.clone(),
            sessions,
            received: 0,
            _guard: connection.hangup.clone().drop_guard(),
        }
    }

    /// Polls `write`, and fails if it stalls for `silence`.
    fn poll_write_with_timeout<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut S, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.writing.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let written = write(&mut self.stream, cx);
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let silence = self.silence;
        ready!(self.stall.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence))).as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for TrackedStream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.reading.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if !self.connection.ticket.is_pending() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        if self.connection.is_of_engine(&self.sessions) {
            self.connection.admit();
        }
        if self.connection.ticket.poll_displaced(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        self.received += (buf.filled().len() - before) as u64;
        if self.received > MAX_PENDING_BYTES {
            return Poll::Ready(Err(io::Error::other("too much was sent before the plugin handshake")));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for TrackedStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = ready!(self.poll_write_with_timeout(cx, |stream, cx| Pin::new(stream).poll_write(cx, buf)))?;
        self.connection.sent.fetch_add(written as u64, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_with_timeout(cx, |stream, cx| Pin::new(stream).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_with_timeout(cx, |stream, cx| Pin::new(stream).poll_shutdown(cx))
    }
}
