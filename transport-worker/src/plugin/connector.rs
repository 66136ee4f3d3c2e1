//! The connector that starts a thread or a task as its plugin.

use std::fmt;
use std::sync::Arc;

use connector_core::{ExternalProfile, Link, LinkEnd, Plugin, PluginConnector, Profile, Registration, async_trait};

use super::link::WorkerLink;
use super::spawn::spawn;
use super::worker::{Status, Watch};
use crate::config::WorkerConfig;
use crate::link::links;

/// Starts a thread, or a task, as its plugin and makes a link to it.
///
/// Each link has a thread (or task) of its own, which makes the plugin anew. It is ended and joined when the plugin is
/// deactivated, within [`WorkerConfig::exit_timeout`]; when the engine or the link is dropped it ends, too, but nobody
/// waits for it. When it ends by itself, or panics, calls in flight end with a [`LinkEnd::Lost`] that tells the panic's
/// text ([`LinkEnd::Closed`] if the plugin disconnected in order), and the engine starts another.
///
/// There is never more than one: for as long as one that blocks has not ended, no other is started, and connecting ends
/// in an error that says so.
pub struct WorkerConnector {
    name: String,
    make: Arc<dyn Fn() -> Plugin + Send + Sync>,
    config: WorkerConfig,
    before: Option<Watch>,
}

impl WorkerConnector {
    /// For the plugin that `make` gives; it is called in the plugin's own thread, or task, once for each link. `name`
    /// is the thread's (Linux keeps 15 bytes of it), and the one in traces.
    pub fn new(
        name: impl Into<String>,
        config: WorkerConfig,
        make: impl Fn() -> Plugin + Send + Sync + 'static,
    ) -> WorkerConnector {
        WorkerConnector { name: name.into(), make: Arc::new(make), config, before: None }
    }
}

#[async_trait]
impl PluginConnector for WorkerConnector {
    /// The URL is not used: the plugin is the connector's own.
    async fn connect(&mut self, _url: &str) -> Result<Box<dyn Link>, LinkEnd> {
        if let Some(before) = &self.before
            && before.clone().settled().await == Status::WillNotEnd
        {
            return Err(LinkEnd::lost("what was started before blocks its thread and has not ended yet"));
        }
        let (here, there) = links(self.config.capacity);
        let worker = spawn(&self.name, Arc::clone(&self.make), there, &self.config)?;
        tracing::debug!(plugin = self.name, placement = ?self.config.placement, "the plugin has been started");
        self.before = Some(worker.watch());
        Ok(Box::new(WorkerLink::new(here, worker)))
    }
}

impl fmt::Debug for WorkerConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerConnector")
            .field("name", &self.name)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What `make` gives as the plugin `profile` (a name will do), in a thread of its own, to be registered with an engine.
///
/// ```
/// use connector_core::{Engine, Plugin};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new();
/// engine.register(transport_worker::worker("sleeper", || {
///     Plugin::new("sleeper").method("nap", |ms: u64| async move {
///         std::thread::sleep(std::time::Duration::from_millis(ms));
///     })
/// }))?;
/// # Ok(()) }
/// ```
pub fn worker(profile: impl Into<Profile>, make: impl Fn() -> Plugin + Send + Sync + 'static) -> Registration {
    worker_with(profile, WorkerConfig::default(), make)
}

/// As [`worker`], placed and limited as `config` says.
pub fn worker_with(
    profile: impl Into<Profile>,
    config: WorkerConfig,
    make: impl Fn() -> Plugin + Send + Sync + 'static,
) -> Registration {
    let profile = profile.into();
    let connector = WorkerConnector::new(profile.name.clone(), config, make);
    let url = format!("worker:{}", profile.name);
    Registration::behind(ExternalProfile::new(profile, url), connector)
}
