//! Two pipes, one for each direction, as one stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Unlike [`tokio::io::join`], shutdown closes the writing pipe, which is the only way to signal end of file.
#[derive(Debug)]
pub(crate) struct Pipes<R, W> {
    read: R,
    /// `None` after shutdown.
    write: Option<W>,
}

impl<R, W> Pipes<R, W> {
    pub(crate) fn new(read: R, write: W) -> Pipes<R, W> {
        Pipes { read, write: Some(write) }
    }
}

impl<R: AsyncRead + Unpin, W: Unpin> AsyncRead for Pipes<R, W> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.read).poll_read(cx, buf)
    }
}

impl<R: Unpin, W: AsyncWrite + Unpin> AsyncWrite for Pipes<R, W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.write {
            Some(write) => Pin::new(write).poll_write(cx, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write.as_mut().map_or(Poll::Ready(Ok(())), |write| Pin::new(write).poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = match &mut self.write {
            Some(write) => ready!(Pin::new(write).poll_shutdown(cx)),
            None => Ok(()),
        };
        self.write = None;
        Poll::Ready(shut)
    }
}
