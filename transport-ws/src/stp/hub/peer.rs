//! The hub's endpoint of one connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use connector_core::{Excerpt, LinkEnd, StallDetector, TraceLimit};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use transport_server::is_loopback;

use super::Inner;
use super::incoming::Incoming;
use super::outbox::Outbox;
use super::outgoing::PeerId;
use crate::client::Accepted;
use crate::stp::link::{Endpoint, drive};
use crate::stp::reconnect::Stop;

/// Frames up to this size are copied, so that a short queued frame does not keep the whole read buffer alive.
const SMALL: usize = 16 * 1024;

/// Serves one connection until it ends.
pub(super) async fn serve(hub: Arc<Inner>, id: PeerId, accepted: Accepted, stop: Stop) {
    let Accepted { mut link, path, peer } = accepted;
    let outbox = Arc::new(Outbox::new(hub.config.queue.clone()));
    let may_list = hub.config.list_to_remote || is_loopback(peer);
    hub.router().join(id, Arc::clone(&outbox), &path, may_list);
    let mut membership = Membership { hub: Arc::clone(&hub), id, slow: false };
    let timer = Box::pin(tokio::time::sleep(outbox.limits().stall_timeout));
    let traces = Arc::clone(&hub.traces);
    let mut endpoint = PeerEndpoint { hub, id, outbox, timer, stall: None, stop };
    let end = drive(&mut *link, &mut endpoint).await;
    membership.slow = matches!(end, LinkEnd::TooSlow(_));
    let shown = Excerpt::new(&end);
    match &end {
        LinkEnd::Closed { .. } | LinkEnd::Disconnected => tracing::debug!(%peer, end = %shown, "a connection ended"),
        _ => {
            let Some(left_out) = traces.pass() else { return };
            match membership.slow {
                true => {
                    tracing::warn!(%peer, left_out, end = %shown, "closed the link of a service that does not read")
                }
                false => tracing::info!(%peer, left_out, end = %shown, "a connection ended"),
            }
        }
    }
}

/// Leaves the router when dropped, also if the task is aborted.
struct Membership {
    hub: Arc<Inner>,
    id: PeerId,
    slow: bool,
}

impl Drop for Membership {
    fn drop(&mut self) {
        let outgoing = self.hub.router().leave(self.id, self.slow);
        self.hub.deliver(outgoing, &Utf8Bytes::default());
    }
}

struct PeerEndpoint {
    hub: Arc<Inner>,
    id: PeerId,
    outbox: Arc<Outbox>,
    timer: Pin<Box<Sleep>>,
    stall: Option<StallDetector>,
    stop: Stop,
}

impl Endpoint for PeerEndpoint {
    fn traces(&self) -> &TraceLimit {
        &self.hub.traces
    }

    fn receive(&mut self, text: Utf8Bytes) {
        let text = if text.len() <= SMALL { Utf8Bytes::from(text.as_str()) } else { text };
        let incoming = Incoming::parse(&text);
        let outgoing = self.hub.router().receive(self.id, incoming, Instant::now().into_std());
        self.hub.deliver(outgoing, &text);
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Utf8Bytes> {
        self.outbox.poll_pop(cx)
    }

    fn poll_work(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = self.outbox.deadline().map(Instant::from_std) else { return false };
        if self.timer.deadline() != deadline {
            self.timer.as_mut().reset(deadline);
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        // Taken before the router is locked: a request forwarded in between sets it again.
        self.outbox.take_deadline();
        let (outgoing, next) = self.hub.router().expire(self.id, Instant::now().into_std());
        if let Some(next) = next {
            self.outbox.set_deadline(next);
        }
        self.hub.deliver(outgoing, &Utf8Bytes::default());
        true
    }

    fn poll_stop(&mut self, cx: &mut Context<'_>, progress: impl Fn() -> u64) -> Poll<LinkEnd> {
        let (full, overflowed) = self.outbox.backlog(cx);
        let limit = self.outbox.limits().stall_timeout;
        if !full {
            self.stall = None;
        } else if self.stall.is_none() {
            self.stall = Some(StallDetector::new(limit, progress()));
        }
        let stalled = self.stall.as_mut().is_some_and(|stall| stall.poll(cx, progress).is_ready());
        if overflowed || stalled {
            return Poll::Ready(LinkEnd::TooSlow(limit));
        }
        Pin::new(&mut self.stop).poll(cx).map(|()| LinkEnd::Disconnected)
    }
}
