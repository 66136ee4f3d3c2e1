//! The connector that starts a thread or a task as its plugin.

use std::fmt;
use std::sync::Arc;

use connector_core::{
    ConnectError, ExternalProfile, Link, Plugin, PluginConnector, Profile, Registration, async_trait,
};

use super::link::WorkerLink;
use super::spawn::spawn;
use super::worker::{Status, Watch};
use crate::config::WorkerConfig;
use crate::link::links;
use crate::pipe::Capacity;

/// Starts a thread, or a task, as its plugin and makes a link to it.
///
/// Each link has its own thread (or task), which makes a new plugin. It is ended and joined when the plugin is
/// deactivated, within [`WorkerConfig::exit_timeout`]; when the engine or the link is dropped it ends too, but is not
/// awaited. When it ends on its own, or panics, calls in flight end with a [`LinkEnd::Lost`](connector_core::LinkEnd::Lost) with the panic's text
/// ([`LinkEnd::Closed`](connector_core::LinkEnd::Closed) if the plugin disconnected), and the engine starts another.
///
/// There is never more than one: while a blocked one has not ended, no other is started, and connecting fails with an
/// error that says so.
pub struct WorkerConnector {
    name: String,
    make: Arc<dyn Fn() -> Plugin + Send + Sync>,
    config: WorkerConfig,
    previous: Option<Watch>,
}

impl WorkerConnector {
    /// A connector for the plugin that `make` returns; it is called in the plugin's thread, or task, once for each link.
    /// `name` names the thread (Linux keeps 15 bytes of it) and the plugin in traces.
    pub fn new(
        name: impl Into<String>,
        make: impl Fn() -> Plugin + Send + Sync + 'static,
        config: WorkerConfig,
    ) -> WorkerConnector {
        WorkerConnector { name: name.into(), make: Arc::new(make), config, previous: None }
    }
}

#[async_trait]
impl PluginConnector for WorkerConnector {
    /// Ignores the URL: the connector knows its plugin.
    async fn connect(&mut self, _url: &str) -> Result<Box<dyn Link>, ConnectError> {
        if let Some(previous) = &self.previous
            && previous.clone().settled().await == Status::Blocked
        {
            return Err(ConnectError::failed("the previous plugin blocks its thread and has not ended yet"));
        }
        let (here, there) = links(Capacity { messages: self.config.capacity, bytes: self.config.capacity_bytes });
        let worker = spawn(&self.name, Arc::clone(&self.make), there, &self.config)?;
        tracing::debug!(plugin = self.name, placement = ?self.config.placement, "started the plugin");
        self.previous = Some(worker.watch());
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

/// The plugin that `make` returns, as the plugin `profile` (or just its name), in its own thread, to be registered with an
/// engine.
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
    worker_with(profile, make, WorkerConfig::default())
}

/// As [`worker`], with a configuration.
pub fn worker_with(
    profile: impl Into<Profile>,
    make: impl Fn() -> Plugin + Send + Sync + 'static,
    config: WorkerConfig,
) -> Registration {
    let profile = profile.into();
    let connector = WorkerConnector::new(profile.name.clone(), make, config);
    let url = format!("worker:{}", profile.name);
    Registration::behind(ExternalProfile::new(profile, url), connector)
}
