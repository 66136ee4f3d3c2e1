//! Closes a link gracefully.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::{LinkEnd, Traffic};
use futures_util::SinkExt;
use tokio::time::{Instant, Sleep};

use super::frame::{HEADER, Kind};
use super::{NatsLink, State};

/// Total time for closing, as a multiple of the time allowed without progress.
const TOTAL_FACTOR: u32 = 5;
/// Effectively never, without overflow.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// A close in progress.
pub(crate) struct Closing {
    stalled: Pin<Box<Sleep>>,
    overall: Pin<Box<Sleep>>,
    /// The link's traffic when the close last made progress.
    traffic: Traffic,
    sent: bool,
    /// There is nothing to wait for any more.
    pub(crate) finished: bool,
}

impl NatsLink {
    /// What has arrived is discarded, so that the other end can send its close.
    pub(super) fn start_closing(&mut self) {
        let timeout = self.close_timeout.min(FOREVER);
        self.state = State::Closing(Closing {
            stalled: Box::pin(tokio::time::sleep(timeout)),
            overall: Box::pin(tokio::time::sleep(timeout.saturating_mul(TOTAL_FACTOR))),
            traffic: self.traffic,
            sent: false,
            finished: false,
        });
        let incoming = &mut self.incoming;
        self.inbox.discard(|length| incoming.consume(length));
        self.report_if_due();
    }

    /// Ready when both ends have closed, or closing takes too long.
    pub(super) fn poll_closing(&mut self) -> Poll<()> {
        self.pump();
        let flushed = self.poll_send().is_ready();
        let cx = &mut Context::from_waker(&self.waker);
        if flushed && self.due.is_none() && self.client.poll_ready_unpin(cx).is_ready() && self.should_send_close() {
            self.publish(Kind::Close, vec![0; HEADER]);
        }
        let State::Closing(closing) = &mut self.state else { return Poll::Ready(()) };
        if std::mem::replace(&mut closing.traffic, self.traffic) != self.traffic {
            closing.stalled.as_mut().reset(Instant::now() + self.close_timeout.min(FOREVER));
        }
        let cx = &mut Context::from_waker(&self.waker);
        let late = closing.overall.as_mut().poll(cx).is_ready() || closing.stalled.as_mut().poll(cx).is_ready();
        if !(late || closing.finished && self.due.is_none()) {
            return Poll::Pending;
        }
        if late && !closing.sent {
            self.leave(&"it closed the link, and what it had sent before was not read in time");
        }
        self.ended(LinkEnd::Disconnected);
        Poll::Ready(())
    }

    fn should_send_close(&mut self) -> bool {
        match &mut self.state {
            State::Closing(closing) if !closing.finished => !std::mem::replace(&mut closing.sent, true),
            _ => false,
        }
    }
}
