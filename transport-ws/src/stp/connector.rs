//! The handle to a service's connection.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use connector_core::stp::{
    ErrorHandler, InformHandler, RequestHandler, StpConnectError, StpConnector, StpDisconnectError, StpHandlers,
    StpInformError, StpRequestError, StpService, StpTimeout, unique_name,
};
use connector_core::{ConnectError, LinkEnd, TraceLimit, async_trait, redacted_url};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::config::StpWsConfig;
use super::reconnect::Reconnect;
use super::service::{Command, ConnectReply};

/// An [`StpConnector`] over websockets, `ws://` and `wss://`. Cheap to clone; dropping the last clone closes the
/// connection.
///
/// The URL's path names the session unless [`StpService::session_id`] does: `ws://host:port/one` is the session `one`,
/// and both `ws://host:port/blue team` and `ws://host:port/blue%20team` are the session `blue team`.
/// Handlers run in the connection's task. A handler that holds a clone of its connector keeps the connection open until
/// [`disconnect`](StpConnector::disconnect). To avoid that, put the connector in an [`Arc`] and give the handler a
/// [`Weak`](std::sync::Weak) reference.
///
/// Must be used within a tokio runtime.
#[derive(Debug, Clone)]
pub struct StpWsConnector(Arc<Owner>);

#[derive(Debug)]
struct Owner {
    shared: Arc<Shared>,
}

impl Drop for Owner {
    fn drop(&mut self) {
        // The task also holds the shared state, and must not outlive the handle.
        let running = lock(&self.shared.state).running.take();
        drop(running);
    }
}

/// State shared by the handle and the connection's task.
pub(super) struct Shared {
    pub(super) url: String,
    pub(super) config: StpWsConfig,
    pub(super) handlers: StpHandlers,
    /// Limits the traces that STP causes.
    pub(super) traces: TraceLimit,
    state: Mutex<State>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = redacted_url(&self.url);
        f.debug_struct("Shared").field("url", &url).field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Debug, Default)]
struct State {
    /// Counts calls of `connect` and `disconnect`. Updates by a task of an earlier epoch are ignored.
    epoch: u64,
    base_name: String,
    name: String,
    machine_id: Option<String>,
    session_id: Option<String>,
    /// Set while the service is registered.
    link: Option<mpsc::Sender<Command>>,
    running: Option<Running>,
}

/// A connection's task, aborted when this is dropped.
#[derive(Debug)]
struct Running {
    task: JoinHandle<()>,
    /// Stops the task gracefully when dropped.
    stop: Option<oneshot::Sender<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Each holder leaves the guarded value consistent.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl StpWsConnector {
    /// A connector to the STP at `url`, with the default configuration. [`connect`](StpConnector::connect) dials.
    pub fn new(url: impl Into<String>) -> StpWsConnector {
        StpWsConnector::with_config(url, StpWsConfig::default())
    }

    /// A connector to the STP at `url`, with `config`.
    pub fn with_config(url: impl Into<String>, config: StpWsConfig) -> StpWsConnector {
        let (handlers, state) = (StpHandlers::default(), Mutex::default());
        let shared = Arc::new(Shared { url: url.into(), config, handlers, traces: TraceLimit::per_second(10), state });
        StpWsConnector(Arc::new(Owner { shared }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.0.shared.state)
    }

    fn link(&self) -> Option<mpsc::Sender<Command>> {
        self.state().link.clone()
    }

    /// Starts a new epoch and returns the task of the previous one.
    fn next_epoch(&self) -> (u64, Option<Running>) {
        let mut state = self.state();
        state.epoch += 1;
        state.link = None;
        state.session_id = None;
        (state.epoch, state.running.take())
    }

    /// Starts a connection's task, unless a newer epoch has started.
    fn start(
        &self,
        epoch: u64,
        mut service: StpService,
        timeout: StpTimeout,
        reply: ConnectReply,
    ) -> Option<Attempt<'_>> {
        let name = unique_name(&service.service_name);
        let mut state = self.state();
        if state.epoch != epoch {
            return None;
        }
        state.base_name = std::mem::replace(&mut service.service_name, name.clone());
        state.name = name;
        state.machine_id = service.machine_id.clone();
        let (stop, stopped) = oneshot::channel();
        let task = Reconnect::new(Arc::clone(&self.0.shared), epoch, service, timeout, stopped);
        state.running = Some(Running { task: tokio::spawn(task.run(reply)), stop: Some(stop) });
        Some(Attempt { connector: self, epoch, keep: false })
    }

    async fn finish(running: Option<Running>, deadline: Instant) -> Result<(), ()> {
        let Some(mut running) = running else { return Ok(()) };
        drop(running.stop.take());
        timeout_at(deadline, &mut running.task).await.map(drop).map_err(drop)
    }
}

impl Shared {
    /// The service is registered and ready for use.
    pub(super) fn link_up(&self, epoch: u64, link: mpsc::Sender<Command>, session_id: String) {
        let mut state = lock(&self.state);
        if state.epoch == epoch {
            state.link = Some(link);
            state.session_id = Some(session_id);
        }
    }

    /// The link has ended.
    pub(super) fn link_down(&self, epoch: u64) {
        let mut state = lock(&self.state);
        if state.epoch == epoch {
            state.link = None;
        }
    }
}

/// Aborts the task of a `connect` whose future was dropped or failed.
struct Attempt<'a> {
    connector: &'a StpWsConnector,
    epoch: u64,
    keep: bool,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        let mut state = self.connector.state();
        if state.epoch != self.epoch {
            return;
        }
        state.link = None;
        let running = state.running.take();
        drop(state);
        drop(running);
    }
}

#[async_trait]
impl StpConnector for StpWsConnector {
    fn base_name(&self) -> String {
        self.state().base_name.clone()
    }

    fn name(&self) -> String {
        self.state().name.clone()
    }

    fn machine_id(&self) -> Option<String> {
        self.state().machine_id.clone()
    }

    fn session_id(&self) -> Option<String> {
        self.state().session_id.clone()
    }

    fn is_connected(&self) -> bool {
        self.state().link.is_some()
    }

    async fn connect(&self, service: StpService, timeout: StpTimeout) -> Result<String, StpConnectError> {
        service.check()?;
        self.0.shared.config.check().map_err(|bad| StpConnectError::Connect {
            url: redacted_url(&self.0.shared.url),
            error: ConnectError::Refused(bad.to_string()),
        })?;
        let limit = timeout.duration();
        let deadline = Instant::now() + limit;
        let (epoch, previous) = self.next_epoch();
        // If it does not end gracefully, dropping it aborts it.
        let _ = StpWsConnector::finish(previous, deadline).await;
        let (reply, result) = oneshot::channel();
        let mut attempt = self.start(epoch, service, timeout, reply).ok_or(StpConnectError::Superseded)?;
        let result = timeout_at(deadline, result).await;
        let session =
            result.map_err(|_| StpConnectError::TimedOut(limit))?.map_err(|_| StpConnectError::Superseded)??;
        attempt.keep = true;
        Ok(session)
    }

    async fn disconnect(&self, timeout: StpTimeout) -> Result<(), StpDisconnectError> {
        let limit = timeout.duration();
        let (_, running) = self.next_epoch();
        let ended = StpWsConnector::finish(running, Instant::now() + limit).await;
        ended.map_err(|()| StpDisconnectError::TimedOut(limit))
    }

    async fn inform(&self, message: &str, timeout: StpTimeout) -> Result<(), StpInformError> {
        let link = self.link().ok_or(StpInformError::NotConnected)?;
        let (bytes, limit) = (message.len(), self.0.shared.config.connector.ws.max_sent_message);
        if bytes > limit {
            return Err(StpInformError::TooLarge { bytes, limit });
        }
        let sent = tokio::time::timeout(timeout.duration(), link.send(Command::Inform(message.into()))).await;
        let lost = |_| StpInformError::Lost(LinkEnd::Disconnected);
        sent.map_err(|_| StpInformError::TimedOut(timeout.duration()))?.map_err(lost)
    }

    async fn request(&self, message: &str, timeout: StpTimeout) -> Result<Vec<String>, StpRequestError> {
        let link = self.link().ok_or(StpRequestError::NotConnected)?;
        let limit = timeout.duration();
        let deadline = Instant::now() + limit;
        let (reply, answer) = oneshot::channel();
        let request = Command::Request { message: message.to_owned(), deadline, timeout, reply };
        let exchange = async {
            // If the link has ended, the reply channel is closed too.
            let _ = link.send(request).await;
            answer.await.unwrap_or_else(|_| Err(StpRequestError::Lost(LinkEnd::Disconnected)))
        };
        timeout_at(deadline, exchange).await.unwrap_or(Err(StpRequestError::TimedOut(limit)))
    }

    fn on_inform(&self, handler: InformHandler) {
        self.0.shared.handlers.set_inform(handler);
    }

    fn on_request(&self, handler: RequestHandler) {
        self.0.shared.handlers.set_request(handler);
    }

    fn on_error(&self, handler: ErrorHandler) {
        self.0.shared.handlers.set_error(handler);
    }
}
