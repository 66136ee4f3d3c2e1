//! Lines over any byte stream as a [`Link`](connector_core::Link).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use connector_core::{DecodeError, FramedLink, LinkEnd, Message, SendError, Traffic};
use futures_core::Stream;
use futures_sink::Sink;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::poll_read_buf;

use crate::codec::{Lines, Stray, Undecoded};
use crate::config::IpcConfig;

/// The number of unwritten bytes at which the link pushes back, and the number of bytes read at once.
const BUFFER: usize = 64 << 10;

/// The number of skipped lines after which the task yields.
const MAX_SKIPPED: usize = 64;

/// A link over a byte stream.
pub(crate) type LineLink<S> = FramedLink<LineStream<S>>;

/// Must be called within a tokio runtime.
pub(crate) fn line_link<S>(stream: S, config: &IpcConfig, stray: Stray) -> LineLink<S>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    limited_line_link(stream, config, stray, Arc::new(AtomicU64::new(u64::MAX)))
}

/// Like [`line_link`]. Receives no more than `limit` bytes in total; the limit may change, and 0 ends the link at once.
pub(crate) fn limited_line_link<S>(stream: S, config: &IpcConfig, stray: Stray, limit: Arc<AtomicU64>) -> LineLink<S>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let lines = LineStream::new(stream, config.max_message, stray, limit);
    FramedLink::new(lines)
        .count_traffic(|lines| lines.traffic)
        .message_limit(config.max_message)
        .close_timeout(config.close_timeout)
}

/// The messages in a byte stream's lines. Unlike `tokio_util`'s `Framed` it decodes short lines in place and serializes
/// messages directly into the output buffer.
#[derive(Debug)]
pub(crate) struct LineStream<S> {
    stream: S,
    lines: Lines,
    inbound: BytesMut,
    read_all: bool,
    outbound: Vec<u8>,
    /// The number of bytes of `outbound` that are written.
    written: usize,
    traffic: Traffic,
    /// The number of bytes that may be received in total.
    receive_limit: Arc<AtomicU64>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> LineStream<S> {
    fn new(stream: S, max_message: usize, stray: Stray, receive_limit: Arc<AtomicU64>) -> LineStream<S> {
        LineStream {
            stream,
            lines: Lines::new(max_message, stray),
            inbound: BytesMut::new(),
            read_all: false,
            outbound: Vec::new(),
            written: 0,
            traffic: Traffic::default(),
            receive_limit,
        }
    }

    /// The length of the next line; `None` at the end of the stream.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>, LinkEnd>> {
        loop {
            if self.read_all {
                return Poll::Ready(Ok(None));
            }
            if let Some(length) = self.lines.next(&self.inbound)? {
                return Poll::Ready(Ok(Some(length)));
            }
            match self.receive_limit.load(Ordering::Relaxed) {
                0 => {
                    let why = "displaced by a newer connection before the plugin handshake";
                    return Poll::Ready(Err(LinkEnd::lost(why)));
                }
                limit if self.traffic.received > limit => {
                    return Poll::Ready(Err(LinkEnd::TooLarge { limit: usize::try_from(limit).unwrap_or(usize::MAX) }));
                }
                _ => {}
            }
            if self.inbound.is_empty() && self.inbound.capacity() > 4 * BUFFER {
                self.inbound = BytesMut::new();
            }
            self.inbound.reserve(BUFFER);
            let read = ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.inbound))?;
            self.traffic.received += read as u64;
            self.read_all = read == 0;
        }
    }

    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        while self.written < self.outbound.len() {
            let left = &self.outbound[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(std::io::Error::from(std::io::ErrorKind::WriteZero).into())),
                written => {
                    self.written += written;
                    self.traffic.sent += written as u64;
                }
            }
        }
        self.written = 0;
        self.outbound.clear();
        // Releases the memory of a large message.
        self.outbound.shrink_to(2 * BUFFER);
        Pin::new(&mut self.stream).poll_flush(cx).map_err(SendError::from)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for LineStream<S> {
    type Item = Result<Result<Message, DecodeError>, LinkEnd>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        for _ in 0..=MAX_SKIPPED {
            let Some(length) = ready!(this.poll_line(cx)).transpose() else {
                return Poll::Ready(this.lines.last(&mut this.inbound).map(|error| Ok(Err(error))));
            };
            match length.map(|length| this.lines.take(&mut this.inbound, length)) {
                Ok(Ok(message)) => return Poll::Ready(Some(Ok(Ok(message)))),
                Ok(Err(Undecoded::Skip)) => {}
                Ok(Err(Undecoded::Error(error))) => return Poll::Ready(Some(Ok(Err(error)))),
                Ok(Err(Undecoded::End(end))) | Err(end) => return Poll::Ready(Some(Err(end))),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sink<Message> for LineStream<S> {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        match self.outbound.len() < BUFFER {
            true => Poll::Ready(Ok(())),
            false => self.poll_write_all(cx),
        }
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        let this = &mut *self;
        Ok(this.lines.encode(&message, &mut this.outbound)?)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.poll_write_all(cx)
    }

    /// Writes the remaining output and closes this half of the stream.
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        ready!(self.poll_write_all(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx).map_err(SendError::from)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use connector_core::{Action, Link};
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// After yielding, the task is woken again.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_blank_lines_yields_and_the_message_behind_it_arrives() {
        let (mut there, here) = tokio::io::duplex(BUFFER);
        let mut link = line_link(here, &IpcConfig::default(), Stray::Report);
        let text = format!("{}{{\"action\":\"on\"}}\n", "\n".repeat(10 * MAX_SKIPPED));
        there.write_all(text.as_bytes()).await.unwrap();
        let mut polls = 0;
        let message = poll_fn(|cx| {
            polls += 1;
            link.poll_message(cx)
        });
        let message = tokio::time::timeout(Duration::from_secs(1), message).await.expect("the task was not woken");
        assert_eq!(message.unwrap().unwrap().action, Action::On);
        assert_eq!(polls, 10);
    }
}
