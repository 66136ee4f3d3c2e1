//! A plugin behind connectors: one session a link.

use std::future::{Future, pending};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tracing::Instrument;

use super::PluginClient;
use super::home::LinkHome;
use super::side::PluginSide;
use crate::connector::{ClientConnector, Link, LinkEnd};
use crate::guard;
use crate::link::{QueueLimits, drive};
use crate::plugin::Plugin;
use crate::runtime;

/// Bounds and times of a plugin's end of a link.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    /// How long a call waits for the engine's answer, if its caller sets no limit of its own; the engine has one too, so
    /// this is for an engine that never answers. Default 5 minutes.
    pub call_timeout: Duration,
    /// Calls that may wait for their answers at once; more are refused as busy. Default 16,384.
    pub calls: usize,
    /// Methods that may run at once for one engine; more are refused as busy. Default 16,384.
    pub running: usize,
    /// Callbacks that may listen at once. Default 4,096.
    pub listeners: usize,
    /// The queue in front of the link.
    pub queue: QueueLimits,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            call_timeout: Duration::from_secs(300),
            calls: 16_384,
            running: 16_384,
            listeners: 4096,
            queue: QueueLimits::default(),
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

    /// Sets [`calls`](ClientConfig::calls).
    #[must_use]
    pub fn calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }

    /// Sets [`running`](ClientConfig::running).
    #[must_use]
    pub fn running(mut self, methods: usize) -> Self {
        self.running = methods;
        self
    }

    /// Sets [`listeners`](ClientConfig::listeners).
    #[must_use]
    pub fn listeners(mut self, callbacks: usize) -> Self {
        self.listeners = callbacks;
        self
    }

    /// Sets [`queue`](ClientConfig::queue).
    #[must_use]
    pub fn queue(mut self, limits: QueueLimits) -> Self {
        self.queue = limits;
        self
    }
}

/// Connects a plugin to the engine at the other end of one link.
///
/// Gives the plugin's handle, and the future that owns the link: it has to be polled (spawned) for anything to happen,
/// and ends with the link. Dropping it closes the link at once; [`PluginClient::disconnect`] closes it in order.
/// Methods run in that future, each going on while the others wait; long computations belong on a thread of their own.
/// What they trace is in the span `plugin`, with its name, where the level `debug` is looked at.
pub fn connect(
    link: Box<dyn Link>,
    plugin: Plugin,
    config: ClientConfig,
) -> (PluginClient, impl Future<Output = LinkEnd> + Send + 'static) {
    // At this level for what it costs: see the engine's.
    let span = tracing::debug_span!("plugin", name = plugin.name());
    let home = Arc::new(LinkHome::new(plugin, config));
    let client = PluginClient::behind(Arc::clone(&home));
    (client, run(link, home).instrument(span))
}

/// How long `on_deactivation` may take once the link has ended.
const LAST_WORDS: Duration = Duration::from_secs(10);

async fn run(mut link: Box<dyn Link>, home: Arc<LinkHome>) -> LinkEnd {
    let mut guard = EndOnDrop { side: Some(PluginSide::new(Arc::clone(&home))) };
    let end = match &mut guard.side {
        // The host's own code runs here too, such as its values' `Serialize`.
        Some(side) => {
            let work = drive(&mut *link, side, home.outbox.limits());
            guard::run(&home.name(), "the link's task", work)
                .await
                .unwrap_or_else(|| LinkEnd::lost("its task panicked"))
        }
        None => LinkEnd::Disconnected,
    };
    drop(link);
    tracing::debug!(plugin = &*home.name(), %end, "the link has ended");
    if let Some(side) = guard.side.take() {
        side.end(end.clone());
    }
    // One that was never activated has nothing to end.
    if home.loaded.borrow().is_some()
        && let Some(hook) = &home.instance.plugin.on_deactivation
    {
        let (client, plugin) = (PluginClient::behind(Arc::clone(&home)), home.name());
        let hook = pin!(guard::run(&plugin, "the deactivation hook", async { hook(client).await }));
        if runtime::timeout(LAST_WORDS, hook).await.is_none() {
            tracing::warn!(%plugin, "the deactivation hook did not end within {LAST_WORDS:?} and was given up");
        }
    }
    end
}

/// Whoever waits is told even when the future that drives the link is dropped.
struct EndOnDrop {
    side: Option<PluginSide>,
}

impl Drop for EndOnDrop {
    fn drop(&mut self) {
        if let Some(side) = self.side.take() {
            side.end(LinkEnd::Disconnected);
        }
    }
}

/// Serves a plugin to every engine that a connector accepts, each with a session of its own, until the connector ends;
/// gives how it ended, once the sessions have.
///
/// `plugin` is asked for a plugin for each engine: clone one to share its state, make one to keep engines apart.
/// Dropping the future closes every link. Each session runs in a task of its own.
pub async fn serve<P>(mut connector: impl ClientConnector, plugin: P, config: ClientConfig) -> LinkEnd
where
    P: Fn() -> Plugin + Send,
{
    let mut sessions = FuturesUnordered::new();
    let end = loop {
        let accepted = {
            let ended = async {
                while sessions.next().await.is_some() {}
                pending::<()>().await
            };
            match select(connector.accept(), std::pin::pin!(ended)).await {
                Either::Left((accepted, _)) => accepted,
                Either::Right(_) => continue,
            }
        };
        match accepted {
            Ok(link) => {
                let Some(plugin) = guard::call("", "the function that makes the plugin", &plugin) else { continue };
                let (_, session) = connect(link, plugin, config.clone());
                let mut task = runtime::spawn(async { drop(session.await) });
                sessions.push(async move { task.ended().await });
            }
            Err(end) => break end,
        }
    };
    while sessions.next().await.is_some() {}
    end
}
