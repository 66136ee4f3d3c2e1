//! Lines over any byte stream as a [`Link`].

#[cfg(all(test, feature = "client", feature = "plugin"))]
mod conformance;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use connector_core::{DecodeError, Link, LinkEnd, Message, SendError, Traffic};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Sleep;
use tokio_util::io::poll_read_buf;

use crate::codec::{Lines, NoMessage, Stray};
use crate::config::IpcConfig;

/// Bytes that wait to be written before the link pushes back, and bytes read at once.
const BUFFER: usize = 64 << 10;

/// Lines that are nobody's, before other tasks get their turn.
const MOST_SKIPPED: usize = 64;

/// A link over a byte stream.
///
/// A write that fails does not end reading: what the other end had written before it went is handed out first. Then
/// that, or `close_timeout`, is the end.
pub(crate) struct LineLink<S> {
    stream: S,
    lines: Lines,
    inbound: BytesMut,
    read_all: bool,
    outbound: Vec<u8>,
    /// What of `outbound` has gone.
    written: usize,
    close_timeout: Duration,
    /// The first failed write, and until when reading goes on.
    failed: Option<(LinkEnd, Pin<Box<Sleep>>)>,
    closing: Option<Pin<Box<Sleep>>>,
    end: Option<LinkEnd>,
    traffic: Traffic,
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> LineLink<S> {
    /// Must be called within a tokio runtime.
    pub(crate) fn new(stream: S, config: &IpcConfig, stray: Stray) -> LineLink<S> {
        LineLink {
            stream,
            lines: Lines::new(config.max_line, stray),
            inbound: BytesMut::new(),
            read_all: false,
            outbound: Vec::new(),
            written: 0,
            close_timeout: config.close_timeout,
            failed: None,
            closing: None,
            end: None,
            traffic: Traffic::default(),
        }
    }

    /// The length of the next line; `None` when no more will come.
    fn poll_line(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>, LinkEnd>> {
        loop {
            if self.read_all {
                return Poll::Ready(Ok(None));
            }
            if let Some(length) = self.lines.next(&self.inbound)? {
                return Poll::Ready(Ok(Some(length)));
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

    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.outbound.len() {
            let left = &self.outbound[self.written..];
            match ready!(Pin::new(&mut self.stream).poll_write(cx, left))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    self.written += written;
                    self.traffic.sent += written as u64;
                }
            }
        }
        self.written = 0;
        self.outbound.clear();
        // One large message is no reason to keep its room for good.
        self.outbound.shrink_to(2 * BUFFER);
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// What a writer says once the link has ended, or a write has failed.
    fn poll_said(&self) -> Option<Poll<Result<(), LinkEnd>>> {
        match (&self.end, &self.failed) {
            (Some(end), _) => Some(Poll::Ready(Err(end.clone()))),
            // The reader will say it, in its turn.
            (None, Some(_)) => Some(Poll::Pending),
            (None, None) => None,
        }
    }

    fn poll_written_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if let Some(said) = self.poll_said() {
            return said;
        }
        match ready!(self.poll_write_all(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => {
                self.failed = Some((error.into(), Box::pin(tokio::time::sleep(self.close_timeout))));
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Link for LineLink<S> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        match self.poll_said() {
            Some(said) => said,
            None if self.outbound.len() < BUFFER => Poll::Ready(Ok(())),
            None => self.poll_written_all(cx),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        if let Some(end) = &self.end {
            return Err(end.clone().into());
        }
        Ok(self.lines.encode(&message, &mut self.outbound)?)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_written_all(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        if let Some(end) = &self.end {
            return Poll::Ready(Err(end.clone()));
        }
        let mut skipped = 0;
        let end = loop {
            match self.poll_line(cx) {
                Poll::Ready(Ok(Some(length))) => match self.lines.take(&mut self.inbound, length) {
                    Ok(message) => return Poll::Ready(Ok(Ok(message))),
                    Err(NoMessage::Nothing) if skipped < MOST_SKIPPED => skipped += 1,
                    Err(NoMessage::Nothing) => {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    Err(NoMessage::Error(error)) => return Poll::Ready(Ok(Err(error))),
                    Err(NoMessage::End(end)) => break end,
                },
                Poll::Ready(Ok(None)) => match self.lines.last(&mut self.inbound) {
                    Some(error) => return Poll::Ready(Ok(Err(error))),
                    None => {
                        let closed = LinkEnd::Closed { code: None, reason: String::new() };
                        break self.failed.take().map_or(closed, |(failed, _)| failed);
                    }
                },
                Poll::Ready(Err(end)) => break end,
                Poll::Pending => {
                    let Some((failed, timer)) = &mut self.failed else { return Poll::Pending };
                    ready!(timer.as_mut().poll(cx));
                    break failed.clone();
                }
            }
        };
        Poll::Ready(Err(self.end.insert(end).clone()))
    }

    /// Writes what is left and closes this end's half.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.close_timeout;
        let timer = self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        let late = timer.as_mut().poll(cx).is_ready();
        let closed = self.poll_write_all(cx).is_ready() && Pin::new(&mut self.stream).poll_shutdown(cx).is_ready();
        if late || closed { Poll::Ready(()) } else { Poll::Pending }
    }

    fn traffic(&self) -> Traffic {
        self.traffic
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use connector_core::Action;
    use tokio::io::AsyncWriteExt;

    use super::*;

    /// The task is woken for what it has not looked at yet.
    #[tokio::test(start_paused = true)]
    async fn a_flood_of_blank_lines_takes_turns_and_the_message_behind_it_comes() {
        let (mut there, here) = tokio::io::duplex(BUFFER);
        let mut link = LineLink::new(here, &IpcConfig::default(), Stray::Skip);
        let text = format!("{}{{\"action\":\"on\"}}\n", "\n".repeat(10 * MOST_SKIPPED));
        there.write_all(text.as_bytes()).await.unwrap();
        let mut turns = 0;
        let message = poll_fn(|cx| {
            turns += 1;
            link.poll_message(cx)
        });
        let message = tokio::time::timeout(Duration::from_secs(1), message).await.expect("nobody was woken");
        assert_eq!(message.unwrap().unwrap().action, Action::On);
        assert_eq!(turns, 10);
    }
}
