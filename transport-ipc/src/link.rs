//! Lines over any byte stream as a [`Link`].

#[cfg(all(test, feature = "client", feature = "plugin"))]
mod conformance;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::{DecodeError, Link, LinkEnd, Message, SendError};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf};
use tokio::time::Sleep;
use tokio_util::codec::{FramedRead, FramedWrite};

use crate::codec::{Lines, Stray};
use crate::config::IpcConfig;

/// Bytes that wait to be written before the link pushes back.
const WRITE_BUFFER: usize = 64 << 10;

/// A link over two halves of a byte stream.
///
/// A write that fails does not end reading: what the other end had written before it went is handed out first. Then
/// that, or `close_timeout`, is the end.
pub(crate) struct LineLink<R, W> {
    read: FramedRead<R, Lines>,
    write: FramedWrite<W, Lines>,
    close_timeout: Duration,
    /// The first failed write, and until when reading goes on.
    failed: Option<(LinkEnd, Pin<Box<Sleep>>)>,
    closing: Option<Pin<Box<Sleep>>>,
    end: Option<LinkEnd>,
}

/// A link over a byte stream that is one thing.
pub(crate) type StreamLink<S> = LineLink<ReadHalf<S>, WriteHalf<S>>;

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> StreamLink<S> {
    pub(crate) fn new(stream: S, config: &IpcConfig, stray: Stray) -> Self {
        let (read, write) = tokio::io::split(stream);
        LineLink::of_halves(read, write, config, stray)
    }
}

impl<R, W> LineLink<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    /// Must be called within a tokio runtime.
    pub(crate) fn of_halves(read: R, write: W, config: &IpcConfig, stray: Stray) -> Self {
        let mut write = FramedWrite::new(write, Lines::new(config.max_line, stray));
        write.set_backpressure_boundary(WRITE_BUFFER);
        let read = FramedRead::with_capacity(read, Lines::new(config.max_line, stray), WRITE_BUFFER);
        LineLink { read, write, close_timeout: config.close_timeout, failed: None, closing: None, end: None }
    }

    fn write_failed(&mut self, error: SendError) {
        let end = match error {
            SendError::Ended(end) => end,
            other => LinkEnd::lost(other),
        };
        self.failed.get_or_insert_with(|| (end, Box::pin(tokio::time::sleep(self.close_timeout))));
    }

    /// What a writer says once the link has ended, or a write has failed.
    fn poll_written(&self) -> Option<Poll<Result<(), LinkEnd>>> {
        match (&self.end, &self.failed) {
            (Some(end), _) => Some(Poll::Ready(Err(end.clone()))),
            // The reader will say it, in its turn.
            (None, Some(_)) => Some(Poll::Pending),
            (None, None) => None,
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut FramedWrite<W, Lines>, &mut Context<'_>) -> Poll<Result<(), SendError>>,
    ) -> Poll<Result<(), LinkEnd>> {
        if let Some(said) = self.poll_written() {
            return said;
        }
        match ready!(poll(&mut self.write, cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => {
                self.write_failed(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl<R, W> Link for LineLink<R, W>
where
    R: AsyncRead + Send + Unpin + 'static,
    W: AsyncWrite + Send + Unpin + 'static,
{
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_write(cx, SinkExt::<Message>::poll_ready_unpin)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        if let Some(end) = &self.end {
            return Err(end.clone().into());
        }
        self.write.start_send_unpin(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_write(cx, SinkExt::<Message>::poll_flush_unpin)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone()));
        }
        let end = match self.read.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(message))) => return Poll::Ready(Ok(message)),
            Poll::Ready(Some(Err(end))) => end,
            Poll::Ready(None) => match self.failed.take() {
                Some((failed, _)) => failed,
                None => LinkEnd::Closed { code: None, reason: String::new() },
            },
            Poll::Pending => {
                let Some((failed, timer)) = &mut self.failed else { return Poll::Pending };
                ready!(timer.as_mut().poll(cx));
                failed.clone()
            }
        };
        Poll::Ready(Err(self.end.insert(end).clone()))
    }

    /// Writes what is left and closes this end's half.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.close_timeout;
        let timer = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        let late = timer.as_mut().poll(cx).is_ready();
        let closed = SinkExt::<Message>::poll_close_unpin(&mut self.write, cx).is_ready();
        if late || closed { Poll::Ready(()) } else { Poll::Pending }
    }
}
