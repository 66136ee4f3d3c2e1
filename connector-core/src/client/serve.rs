//! A plugin behind connectors, with one session per link.

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{oneshot, watch};
use tracing::Instrument;

use super::PluginClient;
use super::endpoint::PluginEndpoint;
use super::remote::RemoteClient;
use crate::bad_setting::BadSetting;
use crate::connector::{ClientConnector, Link, LinkEnd, PluginPanicked};
use crate::excerpt::Excerpt;
use crate::guard;
use crate::link::{QueueLimits, close, drive};
use crate::plugin::Plugin;
use crate::runtime;
use crate::trace_limit::TraceLimit;

/// Limits of the plugin's endpoint of a link.
///
/// A limit of 0 or a time limit below 1 ms (except `stop_timeout`) ends the link, and [`serve`], at once as a
/// [`LinkEnd::Lost`] with the [`BadSetting`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How long a call waits for the engine's response. The engine usually enforces a much shorter limit, so this one
    /// covers an engine that never responds. Default 5 minutes.
    pub call_timeout: Duration,
    /// How many calls may be pending; more are refused as [`Refusal::Busy`](crate::Refusal::Busy). Default 16,384.
    pub max_calls: usize,
    /// How many methods may run at once for one engine; more are refused as [`Refusal::Busy`](crate::Refusal::Busy).
    /// Default 16,384.
    pub max_running: usize,
    /// How many callbacks and streams may be subscribed; more are refused as
    /// [`Refusal::TooManyListeners`](crate::Refusal::TooManyListeners). Default 4,096.
    pub max_listeners: usize,
    /// Limits of the queue in front of the link.
    pub queue: QueueLimits,
    /// How long the engine may take to begin the plugin handshake once a link is up. Then the link is closed as
    /// [`LinkEnd::NoHandshake`], so that a peer which is not an engine does not occupy a connection. Default 10 s;
    /// [`Duration::MAX`] waits indefinitely.
    pub handshake_timeout: Duration,
    /// The memory, in bytes, that the plugin holds for its engine: messages in transit, the arguments of running methods,
    /// and responses that the engine has not read (at most half of the rest). Each item also counts a fixed overhead. An
    /// item of any size fits if nothing else is held. At least four times, and for messages in transit twice, the size of
    /// the transport's largest message: see [`PluginOptions::memory_limit`](crate::PluginOptions::memory_limit). Beyond
    /// the limit calls are refused and results become errors, and an engine that reads nothing then loses
    /// its link as [`LinkEnd::TooSlow`]. Default 64 MiB.
    pub memory_limit: usize,
    /// How long methods may keep running when the plugin is stopped gracefully ([`Serving::until`],
    /// [`PluginClient::finish`]). Methods that still run then are dropped, and their callers see that the link was
    /// closed. Default 5 s.
    pub stop_timeout: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            call_timeout: Duration::from_secs(300),
            max_calls: 16_384,
            max_running: 16_384,
            max_listeners: 4096,
            queue: QueueLimits::default(),
            handshake_timeout: Duration::from_secs(10),
            memory_limit: 64 << 20,
            stop_timeout: Duration::from_secs(5),
        }
    }
}

impl ClientConfig {
    /// Sets [`call_timeout`](ClientConfig::call_timeout).
    #[must_use]
    pub fn call_timeout(mut self, limit: Duration) -> Self {
        self.call_timeout = limit;
        self
    }

    /// Sets [`max_calls`](ClientConfig::max_calls).
    #[must_use]
    pub fn max_calls(mut self, calls: usize) -> Self {
        self.max_calls = calls;
        self
    }

    /// Sets [`max_running`](ClientConfig::max_running).
    #[must_use]
    pub fn max_running(mut self, methods: usize) -> Self {
        self.max_running = methods;
        self
    }

    /// Sets [`max_listeners`](ClientConfig::max_listeners).
    #[must_use]
    pub fn max_listeners(mut self, callbacks: usize) -> Self {
        self.max_listeners = callbacks;
        self
    }

    /// Sets [`queue`](ClientConfig::queue).
    #[must_use]
    pub fn queue(mut self, limits: QueueLimits) -> Self {
        self.queue = limits;
        self
    }

    /// Sets [`handshake_timeout`](ClientConfig::handshake_timeout).
    #[must_use]
    pub fn handshake_timeout(mut self, limit: Duration) -> Self {
        self.handshake_timeout = limit;
        self
    }

    /// Sets [`memory_limit`](ClientConfig::memory_limit).
    #[must_use]
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Sets [`stop_timeout`](ClientConfig::stop_timeout).
    #[must_use]
    pub fn stop_timeout(mut self, limit: Duration) -> Self {
        self.stop_timeout = limit;
        self
    }

    /// # Errors
    /// A setting with which nothing can work.
    fn check(&self) -> Result<(), BadSetting> {
        BadSetting::lasts("ClientConfig::call_timeout", self.call_timeout)?;
        BadSetting::not_zero("ClientConfig::max_calls", self.max_calls)?;
        BadSetting::not_zero("ClientConfig::max_running", self.max_running)?;
        BadSetting::not_zero("ClientConfig::max_listeners", self.max_listeners)?;
        BadSetting::lasts("ClientConfig::handshake_timeout", self.handshake_timeout)?;
        BadSetting::not_zero("ClientConfig::memory_limit", self.memory_limit)?;
        self.queue.check()
    }
}

/// Connects a plugin to the engine at the other end of one link.
///
/// Returns the plugin's handle and the future that drives the link. Nothing happens until the future is polled, so
/// spawn it. It completes after the end of the link and the deactivation hook, and returns how the link ended. Dropping
/// it closes the link at once. [`PluginClient::disconnect`] closes the link gracefully, and [`PluginClient::finish`]
/// does so once running methods have completed.
///
/// Methods run concurrently in that future, so a method that blocks its thread holds up the others and the link: use
/// `spawn_blocking` for long computations. At level `debug`, traces are in the span `plugin`, which carries the
/// plugin's name.
pub fn connect(
    link: Box<dyn Link>,
    plugin: Plugin,
    config: ClientConfig,
) -> (PluginClient, impl Future<Output = LinkEnd> + Send + 'static) {
    connect_with(link, plugin, config, Arc::new(TraceLimit::per_peer()))
}

fn connect_with(
    link: Box<dyn Link>,
    plugin: Plugin,
    config: ClientConfig,
    traces: Arc<TraceLimit>,
) -> (PluginClient, impl Future<Output = LinkEnd> + Send + 'static) {
    // At `debug` because of its cost: see the engine's span.
    let span = tracing::debug_span!("plugin", name = plugin.name());
    let shared = Arc::new(RemoteClient::new(plugin, config, traces));
    let client = PluginClient::behind(Arc::clone(&shared));
    (client, run(link, shared).instrument(span))
}

/// Limit for `on_deactivation` after the end of the link.
const DEACTIVATION_LIMIT: Duration = Duration::from_secs(10);

async fn run(mut link: Box<dyn Link>, shared: Arc<RemoteClient>) -> LinkEnd {
    let mut guard = EndOnDrop { endpoint: Some(PluginEndpoint::open(Arc::clone(&shared))) };
    let end = match (shared.config.check(), &mut guard.endpoint) {
        (Err(setting), _) => LinkEnd::lost(setting),
        // This also runs the plugin's code: its activation hook, and the `Serialize` of its values.
        (Ok(()), Some(endpoint)) => {
            let mut work = pin!(drive(&mut *link, endpoint));
            let work = poll_fn(|cx| shared.driving(|| work.as_mut().poll(cx)));
            let end = guard::catch(&shared.traces, &shared.name(), "the plugin", work).await;
            end.unwrap_or_else(|text| LinkEnd::lost(PluginPanicked(text)))
        }
        (Ok(()), None) => LinkEnd::Disconnected,
    };
    drop(link);
    tracing::debug!(plugin = ?Excerpt::new(shared.name()), end = %Excerpt::new(&end), "the link has ended");
    if let Some(endpoint) = guard.endpoint.take() {
        endpoint.end(end.clone());
    }
    // A plugin that was never activated needs no deactivation.
    if shared.loaded.borrow().is_some()
        && let Some(hook) = &shared.instance.plugin.on_deactivation
    {
        let (client, plugin) = (PluginClient::behind(Arc::clone(&shared)), shared.name());
        let hook = async { hook(client).await };
        let hook = pin!(guard::run(&shared.traces, &plugin, "the deactivation hook", hook));
        if runtime::timeout(DEACTIVATION_LIMIT, hook).await.is_none()
            && let Some(left_out) = shared.traces.pass()
        {
            tracing::warn!(plugin = ?Excerpt::new(&plugin), left_out, "the deactivation hook did not end within {DEACTIVATION_LIMIT:?} and was dropped");
        }
    }
    end
}

/// Completes pending calls even if the future that drives the link is dropped.
struct EndOnDrop {
    endpoint: Option<PluginEndpoint>,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            endpoint.end(LinkEnd::Disconnected);
        }
    }
}

/// Serves a plugin to every engine that a connector accepts, until the connector ends or the signal of
/// [`Serving::until`] fires. Await or spawn the future: nothing is served before it is polled.
///
/// `plugin` is called for each link. Clone one plugin to share its state between engines, or create a new one each time
/// to isolate engines. An engine that reconnects counts as a new one. Each link is served in its own task.
pub fn serve<P>(connector: impl ClientConnector, plugin: P, config: ClientConfig) -> Serving
where
    P: Fn() -> Plugin + Send + 'static,
{
    let (stop, stopping) = watch::channel(false);
    Serving { work: Box::pin(accept(connector, plugin, config, stopping)), stop, signal: None }
}

/// A plugin being served: see [`serve`]. The future returns how the connector ended or, if the connector just has no
/// more links, how the last link ended.
///
/// Dropping it closes every link at once, and engines see a lost link. To stop gracefully, pass a signal:
///
/// ```no_run
/// # async fn example(connector: impl connector_core::ClientConnector, interrupted: impl Future + Send + 'static) {
/// use connector_core::{ClientConfig, Plugin, serve};
///
/// // With tokio's feature `signal`, for example `tokio::signal::ctrl_c()`.
/// serve(connector, || Plugin::new("calculator"), ClientConfig::default()).until(interrupted).await;
/// # }
/// ```
#[must_use = "nothing is served unless the future is polled"]
pub struct Serving {
    work: Pin<Box<dyn Future<Output = LinkEnd> + Send>>,
    stop: watch::Sender<bool>,
    signal: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Serving {
    /// Stops gracefully once `stop` is ready: running methods may complete, new calls are refused, each engine's link
    /// is closed (as by [`PluginClient::finish`]), and the deactivation hook runs. The link of an engine that connects
    /// in the meantime is closed. The connector is dropped when all links are closed. The future then returns
    /// [`LinkEnd::Disconnected`].
    ///
    /// This takes no longer than [`ClientConfig::stop_timeout`](ClientConfig#structfield.stop_timeout), plus the
    /// transport's own limit for closing a link, plus 10 s for the hook.
    ///
    /// The output of `stop` is ignored, so that `tokio::signal::ctrl_c()` and a `oneshot::Receiver` are signals as they
    /// are. If this is called several times, the first signal counts.
    pub fn until(mut self, stop: impl Future + Send + 'static) -> Serving {
        let stop = stop.map(drop);
        self.signal = Some(match self.signal.take() {
            None => Box::pin(stop),
            Some(other) => Box::pin(select(other, Box::pin(stop)).map(drop)),
        });
        self
    }
}

impl Future for Serving {
    type Output = LinkEnd;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LinkEnd> {
        if let Some(signal) = &mut self.signal
            && signal.as_mut().poll(cx).is_ready()
        {
            self.signal = None;
            self.stop.send_replace(true);
        }
        self.work.as_mut().poll(cx)
    }
}

impl fmt::Debug for Serving {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Serving").field("stopping", &*self.stop.borrow()).finish_non_exhaustive()
    }
}

async fn accept<P>(
    mut connector: impl ClientConnector,
    plugin: P,
    config: ClientConfig,
    mut stopping: watch::Receiver<bool>,
) -> LinkEnd
where
    P: Fn() -> Plugin + Send + 'static,
{
    if let Err(setting) = config.check() {
        return LinkEnd::lost(setting);
    }
    let traces = Arc::new(TraceLimit::per_peer());
    let mut sessions = FuturesUnordered::new();
    let mut last = None;
    let end = loop {
        let accepted = {
            let ended = async {
                while let Some(end) = sessions.next().await {
                    last = Some(end);
                }
                pending::<()>().await
            };
            let (ended, stopped) = (pin!(ended), pin!(stopping.wait_for(|stop| *stop)));
            match select(connector.accept(), select(ended, stopped)).await {
                Either::Left((accepted, _)) => Some(accepted),
                Either::Right(_) => None,
            }
        };
        match accepted {
            Some(Ok(link)) => {
                let factory = "the function that `serve` was given to make a plugin for each engine (this engine's link is closed)";
                if let Some(plugin) = guard::call(&traces, "", factory, &plugin) {
                    sessions.push(session(link, plugin, config.clone(), Arc::clone(&traces), stopping.clone()));
                }
            }
            Some(Err(end)) => break Some(end),
            None => break None,
        }
    };
    let Some(end) = end else {
        reject_engines(connector, async { while sessions.next().await.is_some() {} }).await;
        return LinkEnd::Disconnected;
    };
    while let Some(end) = sessions.next().await {
        last = Some(end);
    }
    match (end, last) {
        (LinkEnd::Closed { .. }, Some(last)) => last,
        (end, _) => end,
    }
}

/// One engine's session. When stopping, the session finishes its running methods.
async fn session(
    link: Box<dyn Link>,
    plugin: Plugin,
    config: ClientConfig,
    traces: Arc<TraceLimit>,
    mut stopping: watch::Receiver<bool>,
) -> LinkEnd {
    let (client, session) = connect_with(link, plugin, config, traces);
    let (sender, end) = oneshot::channel();
    let mut task = runtime::spawn(async { drop(sender.send(session.await)) });
    let stopped = async {
        let _ = stopping.wait_for(|stop| *stop).await;
        client.finish().await;
        pending::<()>().await
    };
    let _ = select(pin!(task.ended()), pin!(stopped)).await;
    // An error means that the task has panicked, which the runtime has reported.
    end.await.unwrap_or_else(|_| LinkEnd::lost("its task panicked"))
}

/// Closes the link of each engine that connects before `all_gone` completes, so that the engine sees a close instead of
/// waiting.
async fn reject_engines(mut connector: impl ClientConnector, all_gone: impl Future<Output = ()>) {
    let mut leaving = FuturesUnordered::new();
    let mut all_gone = pin!(all_gone);
    connector.stopping();
    while let Either::Right((accepted, _)) = select(all_gone.as_mut(), connector.accept()).await {
        let Ok(mut link) = accepted else {
            all_gone.await;
            break;
        };
        let mut task = runtime::spawn(async move {
            let _ = close(&mut *link).await;
        });
        leaving.push(async move { task.ended().await });
    }
    while leaving.next().await.is_some() {}
}
