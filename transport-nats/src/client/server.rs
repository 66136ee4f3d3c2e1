//! Serves a plugin at a NATS server.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use async_nats::message::OutboundMessage;
use connector_core::{ClientConfig, ClientConnector, Excerpt, Link, LinkEnd, Plugin, Serving, TraceLimit, async_trait};
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::runtime::Handle;

use super::ServeError;
use super::replica::{Identity, Subscribed, answer, leave};
use crate::config::NatsConfig;
use crate::control::{Announcement, write};
use crate::link::{NatsLink, Wakers};
use crate::redial::Redial;
use crate::subjects::{Subjects, check_replica, unguessable};

type Answering = Pin<Box<dyn Future<Output = Option<NatsLink>> + Send>>;
type Subscribing = Pin<Box<dyn Future<Output = Result<Subscribed, ServeError>> + Send>>;

/// Messages taken before other tasks get a turn.
const BATCH: usize = 64;
/// Messages that are being answered at once. Further ones wait in their subscriptions.
const MAX_ANSWERING: usize = 256;

/// The plugin's end: a replica, which yields a link for each engine that opens a session.
///
/// Requests are answered while [`accept`](ClientConnector::accept) is awaited. If the connection to the server is lost, its
/// links end, and it is made again, with growing delays and without an end. Dropping the replica announces that it is gone;
/// links already accepted stay open.
#[must_use = "dropping it stops serving"]
pub struct NatsServer {
    identity: Arc<Identity>,
    subscribed: Option<Subscribed>,
    subscribing: Option<Subscribing>,
    redial: Redial,
    answering: FuturesUnordered<Answering>,
    draining: bool,
    wakers: Arc<Wakers>,
    waker: Waker,
}

impl NatsServer {
    /// Serves the plugin with this name, as one of its replicas, and checks that the server allows it. Must be called within
    /// a tokio runtime. Cancel safe.
    ///
    /// # Errors
    /// A setting or a name is unusable, the server is unreachable or does not accept the login, or it does not allow
    /// this program to use one of the plugin's subjects.
    pub async fn bind(plugin: &str, config: NatsConfig) -> Result<NatsServer, ServeError> {
        config.check()?;
        let subjects = Subjects::new(&config.prefix, plugin)?;
        let id = match &config.replica {
            Some(id) => check_replica(id)?.to_owned(),
            None => unguessable().map_err(|error| connector_core::ConnectError::failed(error.to_string()))?,
        };
        let (sessions, traces) = (Arc::default(), TraceLimit::default());
        let identity = Arc::new(Identity { subjects, id, config, sessions, traces });
        let subscribed = Subscribed::new(&identity, false).await?;
        let wakers = Arc::<Wakers>::default();
        subscribed.connection.watch(&wakers);
        let mut redial = Redial::new();
        redial.set_connected();
        Ok(NatsServer {
            identity,
            subscribed: Some(subscribed),
            subscribing: None,
            redial,
            answering: FuturesUnordered::new(),
            draining: false,
            waker: Arc::clone(&wakers).into(),
            wakers,
        })
    }

    /// The replica's id.
    pub fn replica(&self) -> &str {
        &self.identity.id
    }

    /// The `url` for the plugin's profile, for example `nats:plugins.calculator`: any of its replicas.
    pub fn url(&self) -> String {
        self.identity.subjects.url()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Result<NatsLink, LinkEnd>> {
        self.wakers.reader.register(cx.waker());
        let waker = self.waker.clone();
        let cx = &mut Context::from_waker(&waker);
        for _ in 0..BATCH {
            match self.answering.poll_next_unpin(cx) {
                Poll::Ready(Some(Some(link))) => return Poll::Ready(Ok(link)),
                Poll::Ready(Some(None)) => continue,
                Poll::Ready(None) | Poll::Pending => {}
            }
            ready!(self.poll_subscribed(cx))?;
            if self.answering.len() >= MAX_ANSWERING {
                return Poll::Pending;
            }
            ready!(self.poll_request(cx))?;
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Ready when there are subscriptions.
    fn poll_subscribed(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        loop {
            if self.subscribed.as_ref().is_some_and(|subscribed| !subscribed.connection.is_lost()) {
                return Poll::Ready(Ok(()));
            }
            self.lose();
            let (identity, draining, redial) = (&self.identity, self.draining, &mut self.redial);
            let subscribing = self.subscribing.get_or_insert_with(|| {
                let (identity, delay) = (Arc::clone(identity), redial.next_delay());
                Box::pin(async move {
                    tokio::time::sleep(delay).await;
                    Subscribed::new(&identity, draining).await
                })
            });
            let subscribed = ready!(subscribing.as_mut().poll(cx));
            self.subscribing = None;
            match subscribed {
                Ok(subscribed) => {
                    self.redial.set_connected();
                    tracing::info!(
                        plugin = self.identity.subjects.url(),
                        "the connection to the NATS server is up again"
                    );
                    subscribed.connection.watch(&self.wakers);
                    self.subscribed = Some(subscribed);
                }
                Err(ServeError::Forbidden(why)) => return Poll::Ready(Err(LinkEnd::lost(why))),
                Err(error) => tracing::debug!(error = %Excerpt::new(error), "the NATS server is not reachable yet"),
            }
        }
    }

    /// Takes one message. Ready if there was one, or the connection is lost.
    fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        let Some(subscribed) = &mut self.subscribed else { return Poll::Ready(Ok(())) };
        while let Ok(refusal) = subscribed.forbidden.try_recv() {
            let Identity { subjects, id, traces, .. } = &*self.identity;
            if [subjects.open(), subjects.replica(id), subjects.discover()].iter().any(|own| refusal.is_about(own)) {
                return Poll::Ready(Err(LinkEnd::lost(refusal.to_string())));
            }
            if let Some(left_out) = traces.pass() {
                tracing::warn!(left_out, "{refusal}");
            }
        }
        let Subscribed { open, own, discover, .. } = subscribed;
        let received =
            open.iter_mut().chain([own, discover]).find_map(|subscriber| match subscriber.poll_next_unpin(cx) {
                Poll::Ready(received) => Some(received),
                Poll::Pending => None,
            });
        match received {
            Some(Some(message)) => self.answer(message),
            // The connection's task has ended.
            Some(None) => self.lose(),
            None => return Poll::Pending,
        }
        Poll::Ready(Ok(()))
    }

    fn lose(&mut self) {
        if self.subscribed.take().is_some() {
            let plugin = self.identity.subjects.url();
            tracing::warn!(plugin, "the connection to the NATS server was lost; reconnecting");
        }
    }

    fn answer(&mut self, message: async_nats::Message) {
        if let Some(subscribed) = &self.subscribed {
            let connection = Arc::clone(&subscribed.connection);
            self.answering.push(Box::pin(answer(Arc::clone(&self.identity), connection, message, self.draining)));
        }
    }

    fn announce(&self, what: &Announcement) {
        if let Some(subscribed) = &self.subscribed {
            let mut client = subscribed.connection.client().clone();
            let (subject, payload) = (self.identity.subjects.announce().into(), write(what));
            let message = OutboundMessage { subject, reply: None, payload, headers: None };
            let _ = client.send(message).now_or_never();
        }
    }
}

/// Yields links as engines open sessions. Fails only if the server forbids this program to serve. Cancel safe.
#[async_trait]
impl ClientConnector for NatsServer {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let link = poll_fn(|cx| self.poll_accept(cx)).await?;
        Ok(Box::new(link))
    }

    /// Leaves the queue group, so that engines find another replica, and announces it.
    fn stopping(&mut self) {
        self.draining = true;
        self.subscribing = None;
        if let Some(subscribed) = &mut self.subscribed
            && let Some(open) = subscribed.open.take()
            && let Ok(runtime) = Handle::try_current()
        {
            // In a task, because this ends at once if there are no sessions.
            runtime.spawn(leave(Arc::clone(&self.identity), Arc::clone(&subscribed.connection), open));
        }
        self.announce(&Announcement::Drain { replica: self.identity.id.clone() });
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.announce(&Announcement::Gone { replica: self.identity.id.clone() });
    }
}

impl fmt::Debug for NatsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NatsServer")
            .field("url", &self.url())
            .field("replica", &self.identity.id)
            .finish_non_exhaustive()
    }
}

/// Serves a plugin as one of its replicas, at the NATS servers of `config`. `plugin` creates the plugin for each engine that
/// opens a session, and once for its name. Await or spawn the future that is returned.
///
/// [`Serving::until`] stops it gracefully: the replica leaves the queue group, announces that it drains, finishes its calls
/// and closes its sessions. Dropping the future ends every session at once. For another [`ClientConfig`], use
/// [`NatsServer::bind`] and [`connector_core::serve`].
///
/// # Errors
/// As [`NatsServer::bind`].
pub async fn serve<P>(plugin: P, config: NatsConfig) -> Result<Serving, ServeError>
where
    P: Fn() -> Plugin + Send + 'static,
{
    let server = NatsServer::bind(plugin().name(), config).await?;
    Ok(connector_core::serve(server, plugin, ClientConfig::default()))
}
