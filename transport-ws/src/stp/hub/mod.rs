//! A small STP server: it registers services and routes their messages.

mod config;
mod incoming;
mod list_client;
mod listing;
mod outbox;
mod outgoing;
mod peer;
mod router;
mod snapshot;

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use connector_core::TraceLimit;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::net::ToSocketAddrs;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Utf8Bytes;
use transport_server::BindError;

pub use config::StpHubConfig;
pub use list_client::{StpListError, list};
pub use listing::{StpCounters, StpListedService, StpListedSession, StpListing};

use self::outbox::Outbox;
use self::outgoing::{Body, Outgoing, PeerId};
use self::router::Router;
use super::reconnect::Stop;
use crate::client::WsServer;

/// A small STP server: STP connectors register with it, and it routes their messages by solvable.
///
/// Sessions are isolated from each other. An inform goes, unchanged, to every service in the sender's session whose
/// solvables contain its `method`, except the sender. A request goes to the first such service with capacity, with the
/// sender's timeout; without one it is refused at once. When a service leaves, its registration is removed and its
/// pending requests are refused. A service that stops reading loses its link and does not delay the others.
///
/// Accepts connections from its own machine only, unless [`StpHubConfig::server`] allows more.
#[derive(Debug)]
#[must_use = "nothing is served before `serve`"]
pub struct StpHub {
    server: WsServer,
    inner: Arc<Inner>,
}

/// Inspects a hub while it is served. Cheap to clone.
#[derive(Debug, Clone)]
pub struct StpHubHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: StpHubConfig,
    router: Mutex<Router<Arc<Outbox>>>,
    /// Limits the traces that clients cause: by all of them, since one client may open many connections.
    traces: Arc<TraceLimit>,
}

/// Traces per second about clients.
const TRACES: u32 = 50;

impl StpHub {
    /// Binds `addr`, for example `"127.0.0.1:0"` for a free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// As [`WsServer::bind`].
    pub async fn bind(addr: impl ToSocketAddrs, config: StpHubConfig) -> Result<StpHub, BindError> {
        let server = WsServer::bind(addr, config.server.clone()).await?;
        let traces = Arc::new(TraceLimit::per_second(TRACES));
        let router = Mutex::new(Router::new(config.max_pending.max(1), Arc::clone(&traces)));
        Ok(StpHub { server, inner: Arc::new(Inner { config, router, traces }) })
    }

    /// The URL for services, for example `ws://127.0.0.1:8080`. A path names a session, percent-encoded.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// A handle that inspects the hub while it is served.
    pub fn handle(&self) -> StpHubHandle {
        StpHubHandle(Arc::clone(&self.inner))
    }

    /// Serves indefinitely. Dropping the future closes every connection immediately.
    pub async fn serve(self) {
        self.serve_until(pending::<()>()).await;
    }

    /// Serves until `stop` is ready, then closes every connection gracefully, bounded by
    /// [`WsConfig::close_timeout`](crate::WsConfig#structfield.close_timeout). Dropping the future closes them
    /// immediately.
    pub async fn serve_until(mut self, stop: impl Future) {
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(stopped.map(drop));
        let stopped: Stop = stopped.shared();
        let mut peers = JoinSet::new();
        let mut stop = pin!(stop);
        for id in 0.. {
            let accepted = poll_fn(|cx| {
                // Reaps finished tasks. A task's panic affects its own connection only.
                while let std::task::Poll::Ready(Some(_)) = peers.poll_join_next(cx) {}
                self.server.poll_accept(cx)
            });
            match select(stop.as_mut(), pin!(accepted)).await {
                Either::Left(_) => break,
                Either::Right((accepted, _)) => {
                    peers.spawn(peer::serve(Arc::clone(&self.inner), id, accepted, stopped.clone()));
                }
            }
        }
        drop(self.server);
        drop(stopping);
        while peers.join_next().await.is_some() {}
    }
}

impl StpHubHandle {
    /// The hub's counters.
    pub fn counters(&self) -> StpCounters {
        self.0.router().counters()
    }

    /// The hub's sessions, services and solvables.
    pub fn listing(&self) -> StpListing {
        let snapshot = self.0.router().snapshot(None);
        snapshot.listing()
    }
}

impl Inner {
    /// The lock is held for routing decisions only. No frame is written and no task is woken under it.
    fn router(&self) -> MutexGuard<'_, Router<Arc<Outbox>>> {
        // Each holder leaves the router consistent.
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues frames for their connections, on behalf of the connection `from`; `received` is the frame being handled.
    fn deliver(&self, from: PeerId, outgoing: Vec<Outgoing<'_, Arc<Outbox>>>, received: &Utf8Bytes) {
        let limit = self.config.server.ws.max_sent_message;
        for Outgoing { to, body } in outgoing {
            let frame = body.frame(received);
            let length = frame.len();
            if length <= limit {
                if to.push(from, frame) {
                    if let Body::Request { deadline, .. } = body {
                        to.set_deadline(deadline);
                    }
                    continue;
                }
                match body {
                    Body::Request { peer, cookie, .. } => {
                        let why = "the service is busy: too much from this connection is queued for it".to_owned();
                        let refusal = self.router().withdraw(peer, cookie, why);
                        self.deliver(from, refusal.into_iter().collect(), received);
                    }
                    // The receiver does not read; its stall ends its link.
                    Body::Received | Body::Response { .. } | Body::HubResponse { .. } => {
                        if let Some(left_out) = self.traces.pass() {
                            tracing::warn!(
                                left_out,
                                "dropped a message: its sender's share of the receiver's queue is full"
                            );
                        }
                    }
                }
                continue;
            }
            let why = format!("a frame of {length} bytes exceeds the limit of {limit}");
            match body {
                Body::Request { peer, cookie, .. } => {
                    let refusal = self.router().withdraw(peer, cookie, why);
                    self.deliver(from, refusal.into_iter().collect(), received);
                }
                Body::Response { cookie, .. } | Body::HubResponse { cookie, .. } => {
                    to.push(from, Body::HubResponse { cookie, outcome: Err(why) }.frame(received));
                }
                Body::Received => {
                    if let Some(left_out) = self.traces.pass() {
                        tracing::warn!(why, left_out, "dropped an inform");
                    }
                }
            }
        }
    }
}
