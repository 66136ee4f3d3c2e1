//! The hub's endpoint of one connection.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::{Excerpt, LinkEnd, StallDetector, TraceLimit};
use tokio::time::{Instant, Sleep};
use tokio_tungstenite::tungstenite::Utf8Bytes;
use transport_server::is_loopback;

use super::Inner;
use super::delivery::Origin;
use super::incoming::Incoming;
use super::memory::SessionMemory;
use super::outbox::Outbox;
use super::outgoing::{Body, Outgoing, PeerId};
use super::router::Scope;
use crate::client::Accepted;
use crate::stp::link::{Endpoint, drive};
use crate::stp::reconnect::Stop;

/// Frames up to this size are copied, so that a short queued frame does not keep the whole read buffer alive.
const SMALL: usize = 16 * 1024;

/// The time between two listings for one connection.
const LIST_INTERVAL: Duration = Duration::from_secs(1);

/// Serves one connection until it ends.
pub(super) async fn serve(hub: Arc<Inner>, id: PeerId, accepted: Accepted, stop: Stop) {
    let Accepted { mut link, path, peer } = accepted;
    let memory = SessionMemory::new(hub.config.session_memory_limit);
    let outbox = Arc::new(Outbox::new(hub.config.queue.clone(), memory));
    let scope = match (hub.config.list_to_remote || is_loopback(peer), &hub.config.server.token) {
        (false, _) => Scope::None,
        (true, None) => Scope::Own,
        (true, Some(_)) => Scope::All,
    };
    hub.router().join(id, Arc::clone(&outbox), &path, scope);
    let mut membership = Membership { hub: Arc::clone(&hub), id, outbox: Arc::clone(&outbox), slow: false };
    let timer = Box::pin(tokio::time::sleep(outbox.limits().stall_timeout));
    let traces = Arc::clone(&hub.traces);
    let register_timer = Box::pin(tokio::time::sleep(hub.config.register_timeout));
    let registration = Registration::Awaited(register_timer);
    let mut endpoint = PeerEndpoint { hub, id, outbox, timer, registration, last_listed: None, stall: None, stop };
    let end = drive(&mut *link, &mut endpoint).await;
    membership.slow = matches!(end, LinkEnd::TooSlow(_));
    let shown = Excerpt::new(&end);
    match &end {
        LinkEnd::Closed { .. } | LinkEnd::Disconnected => tracing::debug!(%peer, end = %shown, "a connection ended"),
        _ if matches!(endpoint.registration, Registration::Awaited(_)) => {
            tracing::debug!(%peer, end = %shown, "a connection ended")
        }
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
    outbox: Arc<Outbox>,
    slow: bool,
}

impl Drop for Membership {
    fn drop(&mut self) {
        self.hub.leave(Origin { id: self.id, outbox: &self.outbox }, self.slow);
    }
}

struct PeerEndpoint {
    hub: Arc<Inner>,
    id: PeerId,
    outbox: Arc<Outbox>,
    timer: Pin<Box<Sleep>>,
    registration: Registration,
    last_listed: Option<Instant>,
    stall: Option<StallDetector>,
    stop: Stop,
}

enum Registration {
    /// Expected before this timer fires.
    Awaited(Pin<Box<Sleep>>),
    /// The link must be notified.
    Fresh,
    Done,
}

impl PeerEndpoint {
    fn deliver(&self, outgoing: Vec<Outgoing<'_>>, received: &Utf8Bytes) {
        self.hub.deliver(Origin { id: self.id, outbox: &self.outbox }, outgoing, received);
    }

    /// A listing is built outside the router's lock, and not too often.
    fn list(&mut self, cookie: i64) {
        let now = Instant::now();
        let too_soon = self.last_listed.is_some_and(|last| now < last + LIST_INTERVAL);
        let allowed = self.hub.router().may_list(self.id, cookie);
        let outcome = match allowed {
            Err(refusal) => return self.deliver(refusal.into_iter().collect(), &Utf8Bytes::default()),
            Ok(_) if too_soon => Err("this connection has just listed the hub: wait a second".to_owned()),
            Ok(only) => {
                let snapshot = self.hub.snapshot(only.as_deref());
                match snapshot.min_size() > self.hub.config.server.ws.max_sent_message {
                    true => Err("the listing is too long for one message: list a single session".to_owned()),
                    // Strings, numbers and string keys always serialize.
                    false => Ok(serde_json::to_string(&snapshot.listing()).unwrap_or_default()),
                }
            }
        };
        self.last_listed = Some(now);
        let body = Body::HubResponse { cookie, outcome };
        let outgoing = Outgoing { to: Arc::clone(&self.outbox), body };
        self.deliver(vec![outgoing], &Utf8Bytes::default());
    }
}

impl Endpoint for PeerEndpoint {
    fn traces(&self) -> &TraceLimit {
        &self.hub.traces
    }

    fn receive(&mut self, text: Utf8Bytes) {
        let text = if text.len() <= SMALL { Utf8Bytes::from(text.as_str()) } else { text };
        let incoming = Incoming::parse(&text);
        if let Incoming::List { cookie } = incoming {
            return self.list(cookie);
        }
        let registers = matches!(incoming, Incoming::Register { .. });
        let from = Origin { id: self.id, outbox: &self.outbox };
        let outgoing = self.hub.receive(from, incoming, Instant::now().into_std());
        if registers
            && matches!(self.registration, Registration::Awaited(_))
            && self.hub.router().is_registered(self.id)
        {
            self.registration = Registration::Fresh;
        }
        self.deliver(outgoing, &text);
    }

    fn take_admission(&mut self) -> bool {
        let fresh = matches!(self.registration, Registration::Fresh);
        if fresh {
            self.registration = Registration::Done;
        }
        fresh
    }

    fn may_receive(&self) -> bool {
        !self.outbox.owes_reading(self.id)
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
        self.deliver(outgoing, &Utf8Bytes::default());
        true
    }

    fn poll_stop(&mut self, cx: &mut Context<'_>, progress: impl Fn() -> u64) -> Poll<LinkEnd> {
        if let Registration::Awaited(timer) = &mut self.registration
            && timer.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(LinkEnd::NoHandshake(self.hub.config.register_timeout));
        }
        let limit = self.outbox.limits().stall_timeout;
        if self.outbox.is_overflowed() {
            return Poll::Ready(LinkEnd::TooSlow(limit));
        }
        if !self.outbox.is_full(cx) && self.may_receive() {
            self.stall = None;
        } else if self.stall.is_none() {
            self.stall = Some(StallDetector::new(limit, progress()));
        }
        let stalled = self.stall.as_mut().is_some_and(|stall| stall.poll(cx, progress).is_ready());
        if stalled {
            return Poll::Ready(LinkEnd::TooSlow(limit));
        }
        Pin::new(&mut self.stop).poll(cx).map(|()| LinkEnd::Disconnected)
    }
}
