//! The inspector: a page that shows an engine, and its websocket. `docs/inspector-protocol.md` specifies it.

mod auth;
mod details;
mod http;
mod options;
mod outbox;
mod page;
mod requests;
mod sampler;
mod session;
mod table;
mod viewer;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use connector_core::{ActivateError, Engine, Observing, Plugin, PluginClient, RegisterError};
use thiserror::Error;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use transport_server::{Admission, BindError, Listener};

use self::auth::Checks;
pub use self::options::ServeOptions;
use self::table::Table;
use crate::recent::Recent;
use crate::statistics::Statistics;

/// Viewers at once.
const MAX_VIEWERS: usize = 64;
/// Connections that are not viewers, at once.
const MAX_PENDING: usize = 64;

/// Shows an engine in a browser: serves a page with its plugins, calls, links and messages, until the returned [`Inspector`] is
/// dropped. Must be called within a tokio runtime that has its time and I/O enabled.
///
/// The page is served on a loopback address, and requires the token in [`Inspector::url`]. It is read-only, unless
/// [`ServeOptions::allow_calls`] is set. The inspector is a plugin of the engine, named `inspector`, in whose name viewers call and
/// listen; access rules and policies apply to it.
///
/// In a host:
///
/// ```no_run
/// # use connector_core::Engine;
/// # async fn example(engine: Engine) -> Result<(), Box<dyn std::error::Error>> {
/// let inspector = connector_inspect::serve(&engine, Default::default()).await?;
/// println!("the inspector is at {}", inspector.url());
/// # Ok(()) }
/// ```
///
/// # Errors
/// The address cannot be bound, or the inspector's plugin cannot be registered or activated.
pub async fn serve(engine: &Engine, options: ServeOptions) -> Result<Inspector, ServeError> {
    let ServeOptions { addr, allow_remote, token, hosts, allow_calls, name, capture, max_records, max_bytes } = options;
    let token = match token {
        Some(token) => token,
        None => auth::new_token()?,
    };
    let listener = Listener::bind(addr, allow_remote, Some(&token)).await?;
    let address = listener.local_addr();
    let url = format!("{}/?{}", listener.url("http"), auth::query(&token));
    let began = wall_clock_since(capture.began().elapsed());
    let statistics = Statistics::since(capture.began(), capture.redaction());
    let recent = Recent::new(capture.values(true), max_records, max_bytes);
    let client = engine.register(Plugin::new(name))?;
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let server = Arc::new(Server {
        engine: engine.clone(),
        client,
        began,
        allow_calls,
        checks: Checks::new(token.clone(), address, hosts),
        statistics: statistics.clone(),
        recent: recent.clone(),
        table: Table::default(),
        failures: Mutex::default(),
        stop: stop.clone(),
        tasks: tasks.clone(),
    });
    // Removes the plugin also if the activation fails.
    let observing = [engine.observe(statistics), engine.observe(recent)];
    let inspector = Inspector { server, url, address, observing: Some(observing), runtime: Handle::current() };
    inspector.server.record_links();
    inspector.server.engine.manager().activate(&inspector.server.client.name()).await?;
    let admission = Admission::new(MAX_PENDING, MAX_VIEWERS, None);
    let accepting = http::accept(listener, admission, Arc::clone(&inspector.server));
    tasks.spawn(stop.clone().run_until_cancelled_owned(accepting));
    tasks.spawn(stop.clone().run_until_cancelled_owned(sampler::run(Arc::clone(&inspector.server))));
    Ok(inspector)
}

/// Why an engine is not shown.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address cannot be bound.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The inspector's plugin cannot be registered: perhaps another inspector or plugin has its name.
    #[error("the inspector cannot be a plugin of the engine ({0}): choose another name with ServeOptions::name")]
    Register(#[from] RegisterError),
    /// The inspector's plugin cannot be activated.
    #[error("the inspector cannot be activated: {0}")]
    Activate(#[from] ActivateError),
    /// The operating system has no random numbers for a token.
    #[error("no token can be made ({0}): set one with ServeOptions::token")]
    Token(String),
}

/// The page that shows an engine, from [`serve`]. Dropping it ends everything: the server, its viewers with their calls and
/// subscriptions, the observers, and the plugin `inspector`.
///
/// It holds a handle to the engine, so that the engine lives at least as long.
#[must_use = "dropping it ends the inspector"]
pub struct Inspector {
    server: Arc<Server>,
    url: String,
    address: SocketAddr,
    observing: Option<[Observing; 2]>,
    runtime: Handle,
}

impl Inspector {
    /// The URL to open in a browser, including the token. Keep it out of logs: the token grants access to everything that
    /// the plugins exchange.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bound address.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The counts that the page shows.
    pub fn statistics(&self) -> &Statistics {
        &self.server.statistics
    }

    /// The records that the page shows.
    pub fn recent(&self) -> &Recent {
        &self.server.recent
    }

    /// Activates a plugin as [`PluginManager::activate`](connector_core::PluginManager::activate) does. If it fails, the page shows
    /// the error at the plugin.
    ///
    /// # Errors
    /// As `PluginManager::activate`.
    pub async fn activate(&self, plugin: &str) -> Result<(), ActivateError> {
        self.server.activate(plugin).await
    }

    /// Ends the inspector, and waits until its plugin is removed and its viewers are gone.
    pub async fn close(mut self) {
        let (server, tasks) = (Arc::clone(&self.server), self.server.tasks.clone());
        self.observing = None;
        drop(self);
        tasks.close();
        tasks.wait().await;
        server.engine.remove(&server.client.name()).await;
    }
}

impl Drop for Inspector {
    fn drop(&mut self) {
        self.server.stop.cancel();
        // The engine knows no other way to remove a plugin than to wait for its deactivation.
        let server = Arc::clone(&self.server);
        self.runtime.spawn(async move { server.engine.remove(&server.client.name()).await });
    }
}

impl fmt::Debug for Inspector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inspector").field("address", &self.address).finish_non_exhaustive()
    }
}

/// What the inspector's tasks share.
struct Server {
    engine: Engine,
    /// Of the plugin `inspector`.
    client: PluginClient,
    /// The wall clock when times began, in milliseconds since 1970.
    began: u64,
    allow_calls: bool,
    checks: Checks,
    statistics: Statistics,
    recent: Recent,
    table: Table,
    /// Why activations failed, by the plugin's name.
    failures: Mutex<HashMap<Box<str>, String>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Server {
    /// Links that were made before are not observed.
    fn record_links(&self) {
        for profile in self.engine.manager().profiles() {
            if let Some(state) = self.engine.link_state(&profile.name) {
                self.statistics.link(&profile.name, &state.borrow());
            }
        }
    }

    async fn activate(&self, plugin: &str) -> Result<(), ActivateError> {
        let activated = self.engine.manager().activate(plugin).await;
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        match &activated {
            Ok(()) => drop(failures.remove(plugin)),
            // Only of plugins that the page lists.
            Err(error) if self.engine.is_registered(plugin) => drop(failures.insert(plugin.into(), error.to_string())),
            Err(_) => {}
        }
        activated
    }

    fn failure(&self, plugin: &str) -> Option<String> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).get(plugin).cloned()
    }
}

fn wall_clock_since(elapsed: Duration) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.saturating_sub(elapsed).as_millis()).unwrap_or(u64::MAX)
}
