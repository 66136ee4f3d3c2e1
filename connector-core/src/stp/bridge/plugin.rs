//! An STP service as a plugin of the engine.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

use super::convert::{args_of, message_of, result_of};
use super::{events, informs, pump};
use crate::client::PluginClient;
use crate::error::Fault;
use crate::excerpt::Excerpt;
use crate::plugin::{Plugin, Rest};
use crate::profile::Profile;
use crate::runtime::{self, Task};
use crate::stp::{Envelope, StpConnector, StpService, StpTimeout};
use crate::sync::lock;
use crate::wire::Payload;

/// Delay between connection attempts.
const RETRY_DELAY: Duration = Duration::from_secs(1);
/// How long an activation waits for the first attempt.
const FIRST_ATTEMPT: Duration = Duration::from_secs(5);
/// How long a deactivation waits for a graceful close.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

/// A service of an STP session as a plugin of the engine.
///
/// - A call of one of its [`methods`](StpPlugin::methods) is sent as a request to the services that solve it.
/// - An inform of one of its [`events`](StpPlugin::events), the service's solvables, is emitted to the plugins that
///   subscribe to it.
/// - Events of other plugins listed with [`forward`](StpPlugin::forward) are sent as informs.
///
/// The plugin connects when it is activated, retrying while STP is unreachable, and disconnects when it is deactivated;
/// calls without a connection fail with an error that says so. A single argument that is not an array becomes a
/// message's params, no arguments become absent params, and several become an array. A JSON response is the call's
/// result; other text is a string.
///
/// ```no_run
/// # fn example(engine: connector_core::Engine, connector: impl connector_core::stp::StpConnector)
/// # -> Result<(), connector_core::RegisterError> {
/// use connector_core::stp::StpPlugin;
///
/// let tasks = StpPlugin::new("tasks", connector)
///     .methods(["GetTasks"])
///     .events(["TaskAdded"])
///     .forward("editor", ["symbolPlaced"])
///     .session_id("exercise");
/// engine.register(tasks.into_plugin())?;
/// // local.call::<Vec<Task>>("tasks", "GetTasks", ()).await?; local.on("tasks", "TaskAdded", |task: Task| …)?;
/// # Ok(()) }
/// ```
#[derive(derive_more::Debug)]
#[must_use = "register the result of `into_plugin`"]
pub struct StpPlugin {
    #[debug(skip)]
    connector: Arc<dyn StpConnector>,
    profile: Profile,
    service: StpService,
    methods: Vec<String>,
    forwards: Vec<(String, String)>,
    timeout: StpTimeout,
}

impl StpPlugin {
    /// A plugin with a profile, or just a name, which is also the service's name. Takes over the connector's handler of
    /// informs.
    pub fn new(profile: impl Into<Profile>, connector: impl StpConnector) -> StpPlugin {
        let profile = profile.into();
        let service = StpService::new(profile.name.clone(), [""; 0]);
        StpPlugin {
            connector: Arc::new(connector),
            profile,
            service,
            methods: Vec::new(),
            forwards: Vec::new(),
            timeout: StpTimeout::default(),
        }
    }

    /// Messages that can be requested: methods.
    pub fn methods<S: Into<String>>(mut self, methods: impl IntoIterator<Item = S>) -> StpPlugin {
        self.methods.extend(methods.into_iter().map(Into::into));
        self
    }

    /// Messages that plugins may subscribe to: events.
    pub fn events<S: Into<String>>(mut self, events: impl IntoIterator<Item = S>) -> StpPlugin {
        self.service.solvables.extend(events.into_iter().map(Into::into));
        self
    }

    /// Events of another plugin that are sent to STP.
    pub fn forward<S: Into<String>>(mut self, emitter: &str, events: impl IntoIterator<Item = S>) -> StpPlugin {
        self.forwards.extend(events.into_iter().map(|event| (emitter.to_owned(), event.into())));
        self
    }

    /// The requested session; see [`StpService::session_id`].
    pub fn session_id(mut self, id: impl Into<String>) -> StpPlugin {
        self.service = self.service.session_id(id);
        self
    }

    /// The machine's id; see [`StpService::machine_id`].
    pub fn machine_id(mut self, id: impl Into<String>) -> StpPlugin {
        self.service = self.service.machine_id(id);
        self
    }

    /// How long to wait for a connection, and for each response. The engine's own queue timeout applies as well.
    /// Default 30 s.
    pub fn timeout(mut self, timeout: StpTimeout) -> StpPlugin {
        self.timeout = timeout;
        self
    }

    /// The plugin, for registration with one engine.
    pub fn into_plugin(self) -> Plugin {
        let StpPlugin { connector, profile, service, methods, forwards, timeout } = self;
        let mut plugin = Plugin::new(profile);
        for method in methods {
            let (connector, name) = (Arc::clone(&connector), method.clone());
            plugin =
                plugin.method(&method, move |args: Rest| request(Arc::clone(&connector), name.clone(), args, timeout));
        }
        let running: Arc<Mutex<Option<Task>>> = Arc::default();
        let started = Arc::clone(&running);
        let disconnects = Arc::clone(&connector);
        let work = Arc::new(Work { service, forwards, timeout });
        plugin
            .on_activation(move |client| {
                let (tried, first) = oneshot::channel();
                let plugin = client.name();
                let task = runtime::spawn(run(Arc::clone(&connector), Arc::clone(&work), client, tried));
                let before = lock(&started).replace(task);
                drop(before);
                let undo = Undo(Some(Arc::clone(&started)));
                // A call right after the activation succeeds if STP is reachable.
                async move {
                    let mut undo = undo;
                    if runtime::timeout(FIRST_ATTEMPT, first).await.is_none() {
                        tracing::warn!(%plugin, "STP has not answered within {FIRST_ATTEMPT:?}; the plugin is active without it");
                    }
                    undo.0 = None;
                }
            })
            .on_deactivation(move |client| {
                let task = lock(&running).take();
                drop(task);
                let connector = Arc::clone(&disconnects);
                async move {
                    if let Err(error) = connector.disconnect(CLOSE_LIMIT.into()).await {
                        tracing::warn!(plugin = %client.name(), error = %Excerpt::new(error), "the connection to STP did not close gracefully");
                    }
                }
            })
    }
}

/// The parameters of each activation.
struct Work {
    service: StpService,
    forwards: Vec<(String, String)>,
    timeout: StpTimeout,
}

/// Aborts the task of an abandoned activation.
struct Undo(Option<Arc<Mutex<Option<Task>>>>);

impl Drop for Undo {
    fn drop(&mut self) {
        let task = self.0.take().and_then(|running| lock(&running).take());
        drop(task);
    }
}

async fn request(
    connector: Arc<dyn StpConnector>,
    method: String,
    args: Rest,
    timeout: StpTimeout,
) -> Result<Payload, Fault> {
    let message = message_of(&method, &args.0).map_err(Fault::new)?;
    connector.request(&message, timeout).await.map(result_of).map_err(Fault::new)
}

/// Runs from activation to deactivation.
async fn run(connector: Arc<dyn StpConnector>, work: Arc<Work>, client: PluginClient, tried: oneshot::Sender<()>) {
    let Work { service, forwards, timeout } = &*work;
    let informs = informs(&*connector);
    let mut tried = Some(tried);
    while let Err(error) = connector.connect(service.clone(), *timeout).await {
        tracing::warn!(plugin = &*client.name(), error = %Excerpt::new(error), "not connected to STP; retrying in {RETRY_DELAY:?}");
        // The activation waits for one attempt only.
        drop(tried.take());
        runtime::sleep(RETRY_DELAY).await;
    }
    // Signalled first, because only an active plugin may subscribe.
    drop(tried.take());
    let mut pause = Duration::from_millis(10);
    let events = loop {
        match events(&client, forwards) {
            Ok(events) => break events,
            Err(error) if pause < RETRY_DELAY => tracing::debug!(%error, "not active yet"),
            Err(error) => {
                tracing::warn!(error = %Excerpt::new(error), "cannot subscribe to the events for STP; trying again in {RETRY_DELAY:?}")
            }
        }
        runtime::sleep(pause).await;
        pause = (pause * 4).min(RETRY_DELAY);
    };
    let on_inform = |message: String| {
        let client = &client;
        async move {
            let Ok(envelope) = Envelope::parse(&message) else { return };
            if let Err(error) = client.emit(&envelope.method, args_of(envelope.params)).await {
                tracing::debug!(error = %Excerpt::new(error), "an inform is not emitted");
            }
        }
    };
    pump(Arc::clone(&connector), informs, events, on_inform).await;
}
