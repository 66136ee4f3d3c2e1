//! Lines over any byte stream as a [`Link`].

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::{DecodeError, FramedLink, Link, LinkEnd, Message, SendError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use tokio_util::codec::Framed;

use crate::codec::{Lines, Stray};
use crate::config::IpcConfig;

/// Bytes that wait to be written before the link pushes back.
const WRITE_BUFFER: usize = 64 << 10;

/// A link over a byte stream; closing it in order is bounded.
pub(crate) struct LineLink<S> {
    inner: FramedLink<Framed<S, Lines>>,
    close_timeout: Duration,
    closing: Option<Pin<Box<Sleep>>>,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> LineLink<S> {
    pub(crate) fn new(stream: S, config: &IpcConfig, stray: Stray) -> LineLink<S> {
        let mut framed = Framed::new(stream, Lines::new(config.max_line, stray));
        framed.set_backpressure_boundary(WRITE_BUFFER);
        LineLink { inner: FramedLink::new(framed), close_timeout: config.close_timeout, closing: None }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Link for LineLink<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.inner.poll_ready(cx)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.inner.send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.inner.poll_flush(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.inner.poll_message(cx)
    }

    /// Writes what is left and closes this end's half.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.close_timeout;
        let timer = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        let late = Future::poll(timer.as_mut(), cx).is_ready();
        let closed = self.inner.poll_disconnect(cx).is_ready();
        if late || closed { Poll::Ready(()) } else { Poll::Pending }
    }
}
