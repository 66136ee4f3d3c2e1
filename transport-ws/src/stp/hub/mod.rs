//! A small STP: it registers services and routes their messages.

mod config;
mod incoming;
mod list_client;
mod listing;
mod outbox;
mod outgoing;
mod peer;
mod router;

use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use tokio::net::ToSocketAddrs;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Utf8Bytes;

pub use config::StpHubConfig;
pub use list_client::{StpListError, list};
pub use listing::{StpCounters, StpListedService, StpListedSession, StpListing};

use self::outbox::Outbox;
use self::outgoing::{Body, Outgoing};
use self::router::Router;
use super::reconnect::Stop;
use crate::client::{BindError, WsServer};

/// A small STP server: real STP connectors register with it, and it routes what they say by solvable.
///
/// Each session is a world of its own. An inform goes to every service of the sender's session whose solvables hold
/// its `method`, but not back to the sender, and its text is untouched. A request goes to the first that can answer,
/// with the asker's timeout; if there is none, the asker is told at once. A service that leaves is forgotten, and what
/// waited for its answer ends. A service that does not read loses its link and holds up nobody else.
///
/// Reachable from its own machine only, unless [`StpHubConfig::server`] says otherwise.
#[derive(Debug)]
pub struct StpHub {
    server: WsServer,
    inner: Arc<Inner>,
}

/// Looks at a hub that is served elsewhere; cheap to clone.
#[derive(Debug, Clone)]
pub struct StpHubHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: StpHubConfig,
    router: Mutex<Router<Arc<Outbox>>>,
}

impl StpHub {
    /// Listens at `addr`, for example `"127.0.0.1:0"` for a free port. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// As [`WsServer::bind`].
    pub async fn bind(addr: impl ToSocketAddrs, config: StpHubConfig) -> Result<StpHub, BindError> {
        let server = WsServer::bind(addr, config.server.clone()).await?;
        let router = Mutex::new(Router::new(config.max_pending.max(1)));
        Ok(StpHub { server, inner: Arc::new(Inner { config, router }) })
    }

    /// Where services connect, for example `ws://127.0.0.1:8080`. A path names a session; `%20` in it is a space.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// A handle to look at the hub while it is served.
    pub fn handle(&self) -> StpHubHandle {
        StpHubHandle(Arc::clone(&self.inner))
    }

    /// Serves services without end. Dropping the future closes every connection at once.
    pub async fn serve(self) {
        self.serve_until(pending()).await;
    }

    /// Serves services until `stop` is ready, then closes every connection in order, within
    /// [`WsConfig::close_timeout`](crate::WsConfig#structfield.close_timeout). Dropping the future closes them at once.
    pub async fn serve_until(mut self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = tokio::sync::oneshot::channel::<()>();
        let stopped: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(stopped.map(drop));
        let stopped: Stop = stopped.shared();
        let mut peers = JoinSet::new();
        let mut stop = pin!(stop);
        for id in 0.. {
            let accepted = poll_fn(|cx| {
                // What has ended is let go of; a task's panic is its connection's alone.
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
    /// What the hub has counted.
    pub fn counters(&self) -> StpCounters {
        self.0.router().counters()
    }

    /// Its sessions, services and solvables.
    pub fn listing(&self) -> StpListing {
        self.0.router().listing()
    }
}

impl Inner {
    /// Held for a decision only: nothing is written, and nobody woken, under it.
    fn router(&self) -> MutexGuard<'_, Router<Arc<Outbox>>> {
        // Each holder leaves it consistent.
        self.router.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues what is to be said; `same` is the frame that is being handled.
    fn deliver(&self, says: Vec<Outgoing<'_, Arc<Outbox>>>, same: &Utf8Bytes) {
        let limit = self.config.server.ws.send_limit();
        for Outgoing { to, what } in says {
            let frame = what.frame(same);
            if frame.len() <= limit {
                if let Body::PassOn { due, .. } = what {
                    to.set_due(due);
                }
                to.push(frame);
                continue;
            }
            let why = format!("a frame of {} bytes is over the limit of {limit}", frame.len());
            match what {
                Body::PassOn { peer, cookie, .. } => {
                    let refusal = self.router().take_back(peer, cookie, why);
                    self.deliver(refusal.into_iter().collect(), same);
                }
                Body::Answer { cookie, .. } | Body::Tell { cookie, .. } => {
                    to.push(Body::Tell { cookie, outcome: Err(why) }.frame(same));
                }
                Body::Same => tracing::warn!(why, "an inform is dropped"),
            }
        }
    }
}
