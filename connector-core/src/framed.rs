//! A link over any stream and sink of messages, including the graceful close that every such link needs.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use futures_core::Stream;
use futures_sink::Sink;
use futures_util::task::AtomicWaker;
use futures_util::{SinkExt, StreamExt};

use crate::connector::{FailedWrite, Link, LinkEnd, SendError, Traffic};
use crate::runtime::{self, Timer};
use crate::wire::{DecodeError, Message};

type Inbound = Result<Message, DecodeError>;

/// How long a close may make no progress, by default.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// The overall limit for a close, as a multiple of that time.
const MAX_TIMEOUTS: u32 = 5;

/// A [`Link`] over any stream and sink of messages, for example `tokio_util`'s `Framed` with a codec.
///
/// - The end of the stream (`None`) is a graceful close by the peer. This end then flushes and closes its sink before
///   it reports [`LinkEnd::Closed`]. An error of the stream ends the link at once.
/// - A failed write does not end reading. Messages already sent by the peer are delivered first. The link ends when the
///   stream does, or when nothing has arrived for [`close_timeout`](FramedLink::close_timeout).
/// - [`poll_disconnect`](Link::poll_disconnect) flushes, closes the sink, and then reads and discards until the peer
///   has closed as well. Otherwise a socket closed with unread data would be reset, and the reset destroys the data
///   sent last. It gives up if neither direction makes progress for [`close_timeout`](FramedLink::close_timeout), and
///   in any case after five times as long.
pub struct FramedLink<T> {
    inner: T,
    close_timeout: Duration,
    count_traffic: fn(&T) -> Traffic,
    max_message: Option<usize>,
    failed_write: FailedWrite,
    state: State,
}

enum State {
    Open,
    /// The peer has closed. This end closes too, and then reports the end.
    AnsweringClose(LinkEnd, Closing),
    /// This end is closing.
    Disconnecting(Closing),
    Ended(LinkEnd),
}

impl<T: fmt::Debug> fmt::Debug for FramedLink<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramedLink").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<T> FramedLink<T>
where
    T: Stream<Item = Result<Inbound, LinkEnd>> + Sink<Message, Error = SendError> + Send + Unpin + 'static,
{
    /// Wraps `inner`. Must be polled within a tokio runtime that has its time enabled.
    pub fn new(inner: T) -> FramedLink<T> {
        FramedLink {
            inner,
            close_timeout: CLOSE_TIMEOUT,
            count_traffic: |_| Traffic::default(),
            max_message: None,
            failed_write: FailedWrite::default(),
            state: State::Open,
        }
    }

    /// Sets how long a close may make no progress, and how long reading continues after a failed write. Default 1 s.
    #[must_use]
    pub fn close_timeout(mut self, limit: Duration) -> FramedLink<T> {
        self.close_timeout = limit;
        self
    }

    /// Sets the source of [`Link::traffic`]. Default: no counting.
    #[must_use]
    pub fn count_traffic(mut self, count: fn(&T) -> Traffic) -> FramedLink<T> {
        self.count_traffic = count;
        self
    }

    /// Sets the size of the largest message, in bytes, which `inner` enforces: see [`Link::max_message`]. Default:
    /// unknown.
    #[must_use]
    pub fn message_limit(mut self, bytes: usize) -> FramedLink<T> {
        self.max_message = Some(bytes);
        self
    }

    fn ended<R>(&mut self, end: LinkEnd) -> Poll<Result<R, LinkEnd>> {
        self.state = State::Ended(end.clone());
        Poll::Ready(Err(end))
    }

    /// The result of the sending methods on a link that is not open.
    fn poll_not_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        match &mut self.state {
            // Not called then.
            State::Open => Poll::Pending,
            State::AnsweringClose(end, closing) => {
                let end = end.clone();
                ready!(closing.poll_answered(&mut self.inner, cx));
                self.ended(end)
            }
            State::Disconnecting(_) => Poll::Ready(Err(LinkEnd::Disconnected)),
            State::Ended(end) => Poll::Ready(Err(end.clone())),
        }
    }

    /// Runs a sending method of the sink.
    fn poll_sending(
        &mut self,
        cx: &mut Context<'_>,
        send: impl FnOnce(&mut T, &mut Context<'_>) -> Poll<Result<(), SendError>>,
    ) -> Poll<Result<(), LinkEnd>> {
        if !matches!(self.state, State::Open) {
            return self.poll_not_open(cx);
        }
        ready!(self.failed_write.poll_sending(cx));
        if let Err(error) = ready!(send(&mut self.inner, cx)) {
            self.failed_write.record(error);
        }
        self.failed_write.poll_sending(cx).map(Ok)
    }
}

impl<T> Link for FramedLink<T>
where
    T: Stream<Item = Result<Inbound, LinkEnd>> + Sink<Message, Error = SendError> + Send + Unpin + 'static,
{
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_sending(cx, T::poll_ready_unpin)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        match &self.state {
            State::Open if !self.failed_write.is_recorded() => match self.inner.start_send_unpin(message) {
                // Reported by the next method that can wait for received messages.
                Err(error @ SendError::Ended(_)) => {
                    self.failed_write.record(error);
                    Ok(())
                }
                other => other,
            },
            // Lost, as it would be a moment later.
            State::Open | State::AnsweringClose(..) => Ok(()),
            State::Disconnecting(_) => Err(LinkEnd::Disconnected.into()),
            State::Ended(end) => Err(end.clone().into()),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_sending(cx, T::poll_flush_unpin)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Inbound, LinkEnd>> {
        if !matches!(self.state, State::Open) {
            return self.poll_not_open(cx).map(|overall| Err(overall.err().unwrap_or(LinkEnd::Disconnected)));
        }
        let end = match self.inner.poll_next_unpin(cx) {
            Poll::Ready(Some(Ok(message))) => return Poll::Ready(Ok(message)),
            Poll::Ready(Some(Err(end))) => end,
            Poll::Ready(None) => LinkEnd::Closed { code: None, reason: String::new() },
            Poll::Pending => {
                let end = ready!(self.failed_write.poll_end(cx, self.close_timeout));
                return self.ended(end);
            }
        };
        if matches!(end, LinkEnd::Closed { .. }) && !self.failed_write.is_recorded() {
            self.state = State::AnsweringClose(end, Closing::new(self.close_timeout));
            return self.poll_not_open(cx).map(|overall| Err(overall.err().unwrap_or(LinkEnd::Disconnected)));
        }
        self.ended(end)
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Ended(_) => return Poll::Ready(()),
            // Queued messages cannot be sent any more.
            State::Open if self.failed_write.is_recorded() => {}
            State::AnsweringClose(..) => return self.poll_not_open(cx).map(drop),
            State::Disconnecting(closing) => ready!(closing.poll_disconnected(&mut self.inner, cx)),
            State::Open => {
                self.state = State::Disconnecting(Closing::new(self.close_timeout));
                return self.poll_disconnect(cx);
            }
        }
        self.state = State::Ended(LinkEnd::Disconnected);
        Poll::Ready(())
    }

    fn traffic(&self) -> Traffic {
        (self.count_traffic)(&self.inner)
    }

    fn max_message(&self) -> Option<usize> {
        self.max_message
    }
}

/// A graceful close in progress.
struct Closing {
    timeout: Duration,
    /// Fires after this time without progress.
    stalled: Timer,
    /// Fires at the overall limit.
    overall: Timer,
    progress: Arc<Progress>,
    /// Completion of the two directions: this end's sink, and the peer's stream.
    closed: bool,
    read_all: bool,
}

impl Closing {
    fn new(timeout: Duration) -> Closing {
        let overall = runtime::sleep(timeout.saturating_mul(MAX_TIMEOUTS));
        Closing {
            timeout,
            stalled: runtime::sleep(timeout),
            overall,
            progress: Arc::default(),
            closed: false,
            read_all: false,
        }
    }

    /// Ready when this end has flushed and closed, or at the time limit.
    fn poll_answered<T>(&mut self, inner: &mut T, cx: &mut Context<'_>) -> Poll<()>
    where
        T: Sink<Message, Error = SendError> + Unpin,
    {
        let late = self.poll_timeout(cx).is_ready();
        let waker = self.progress.waker(cx);
        let closed = inner.poll_close_unpin(&mut Context::from_waker(&waker)).is_ready();
        if closed || late { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ready when both ends have closed, or at the time limit.
    fn poll_disconnected<T>(&mut self, inner: &mut T, cx: &mut Context<'_>) -> Poll<()>
    where
        T: Stream<Item = Result<Inbound, LinkEnd>> + Sink<Message, Error = SendError> + Unpin,
    {
        // Checked first: a peer that sends endlessly uses up the task's budget, and without budget no timer fires.
        if self.poll_timeout(cx).is_ready() {
            return Poll::Ready(());
        }
        let waker = self.progress.waker(cx);
        let cx = &mut Context::from_waker(&waker);
        if !self.closed {
            match inner.poll_close_unpin(cx) {
                Poll::Ready(Ok(())) => self.closed = true,
                // The peer no longer reads.
                Poll::Ready(Err(_)) => return Poll::Ready(()),
                Poll::Pending => {}
            }
        }
        for _ in 0..DISCARDED {
            if self.read_all {
                // The peer may still read queued messages.
                return if self.closed { Poll::Ready(()) } else { Poll::Pending };
            }
            match ready!(inner.poll_next_unpin(cx)) {
                Some(Ok(_)) => {}
                Some(Err(_)) => return Poll::Ready(()),
                None => self.read_all = true,
            }
        }
        waker.wake();
        Poll::Pending
    }

    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.overall.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.progress.woken.swap(false, Ordering::Relaxed) {
            self.stalled.as_mut().reset(runtime::now() + self.timeout.min(FOREVER));
        }
        self.stalled.as_mut().poll(cx)
    }
}

/// Messages discarded before other tasks get a turn.
const DISCARDED: usize = 64;
/// Effectively never, without overflow.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// Wakes the task, and records that the transport made progress.
#[derive(Default)]
struct Progress {
    woken: AtomicBool,
    task: AtomicWaker,
}

impl Progress {
    fn waker(self: &Arc<Self>, cx: &Context<'_>) -> Waker {
        self.task.register(cx.waker());
        Arc::clone(self).into()
    }
}

impl Wake for Progress {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.task.wake();
    }
}
