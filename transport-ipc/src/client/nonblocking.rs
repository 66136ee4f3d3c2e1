//! Restores the blocking mode of inherited descriptors.
//!
//! `O_NONBLOCK` is shared by every process that has the descriptor, such as the shell that started this program or the
//! next command on its line. So it is restored when the channel is closed.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream over an inherited descriptor, which restores the descriptor's flags when dropped.
#[derive(Debug)]
pub(super) struct Restoring<S> {
    stream: S,
    _flags: SavedFlags,
}

#[derive(Debug)]
struct SavedFlags(OwnedFd, OFlags);

impl Drop for SavedFlags {
    fn drop(&mut self) {
        // An error cannot be handled here.
        let _ = fcntl_setfl(&self.0, self.1);
    }
}

impl<S> Restoring<S> {
    /// `make` may set the descriptor to non-blocking.
    pub(super) fn new(fd: OwnedFd, make: impl FnOnce(OwnedFd) -> io::Result<S>) -> io::Result<Restoring<S>> {
        let flags = SavedFlags(fd.try_clone()?, fcntl_getfl(&fd)?);
        Ok(Restoring { stream: make(fd)?, _flags: flags })
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Restoring<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Restoring<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
