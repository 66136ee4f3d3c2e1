//! A small STP server: it registers services and routes their messages.

mod config;
mod delivery;
mod incoming;
mod list_client;
mod listing;
mod memory;
mod outbox;
mod outgoing;
mod peer;
mod registered_services;
mod router;
mod routing;
mod snapshot;

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use connector_core::TraceLimit;
use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::net::ToSocketAddrs;
use tokio::task::JoinSet;
use transport_server::BindError;

pub use config::StpHubConfig;
pub use list_client::{StpListError, list};
pub use listing::{StpCounters, StpListedService, StpListedSession, StpListing};

use self::router::Router;
use super::reconnect::Stop;
use crate::client::WsServer;

/// A small STP server: STP connectors register with it, and it routes their messages by solvable.
///
/// Sessions are isolated from each other. An inform goes, unchanged, to every service in the sender's session whose
/// solvables contain its `method`, except the sender. A request goes to the first such service with capacity, with the
/// sender's timeout; without one it is refused at once. When a service leaves, its registration is removed and its
/// pending requests are refused. A service that stops reading loses its link and does not delay the others. What the hub
/// holds is bounded in bytes for each service ([`StpHubConfig::queue`]) and each session
/// ([`StpHubConfig::session_memory_limit`]).
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
    router: Mutex<Router>,
    /// Limits the traces that clients cause: by all of them, since one client may open many connections.
    traces: Arc<TraceLimit>,
}

/// Traces per second about clients.
const TRACES: u32 = 50;

impl StpHub {
    /// Binds `addr`, for example `"127.0.0.1:0"` for a free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// As [`WsServer::bind`]. A setting of the hub with which nothing can work, such as a limit of 0, is
    /// [`BindError::Setting`], too.
    pub async fn bind(addr: impl ToSocketAddrs + fmt::Debug, config: StpHubConfig) -> Result<StpHub, BindError> {
        config.check()?;
        let server = WsServer::bind(addr, config.server.clone()).await?;
        let traces = Arc::new(TraceLimit::per_second(TRACES));
        let router = Mutex::new(Router::new(config.max_pending, config.max_sessions, config.session_memory_limit));
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
        self.0.snapshot(None).listing()
    }
}

impl Inner {
    /// The lock is held for routing decisions only, and for a slice of them at a time. No frame is written and no task is
    /// woken under it.
    fn router(&self) -> MutexGuard<'_, Router> {
        // Each holder leaves the router consistent.
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
