//! The engine: registration, permissions, and routing between plugins.

mod access;
mod attended;
mod bounds;
mod call;
mod call_chain;
mod current;
mod endpoint;
mod entry;
mod events;
mod health;
mod lent;
mod lifecycle;
mod link_state;
mod manager;
mod observer;
mod observers;
mod options;
mod policy;
mod reentrancy;
mod registration;
mod remote;
mod replicas;
mod request_queue;
mod router;
mod subscriber_capacity;
mod supervisor;

use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use foldhash::HashMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use access::{Access, Operation};
pub(crate) use entry::Entry;
pub(crate) use lent::{Lent, LentSession};
pub use link_state::LinkState;
pub use manager::PluginManager;
pub use observer::{CallOutcome, Direction, Interests, Observation, ObservedCall, Observer};
pub use observers::Observing;
pub use options::{PluginOptions, UrlTransform};
pub use policy::{DefaultPolicy, Policy};
pub use registration::Registration;
pub use replicas::{Choice, PlaceChange, Places, Replicas};

use self::access::Rule;
use self::call::LogicalClock;
use self::call_chain::{Chains, MAX_HOPS};
use self::entry::Registry;
use self::events::Emitter;
use self::observers::Observers;
use crate::client::PluginClient;
use crate::error::RegisterError;
use crate::memory_budget::SharedBudget;
use crate::profile::Profile;
use crate::wire::Name;

/// The host's central object: plugins are registered with it, wherever they run, and reach each other through it.
///
/// Cheap to clone. Handles such as [`PluginClient`] do not keep an engine alive. When the last clone is dropped, every
/// link is closed at once and every call ends; await [`shutdown`](Engine::shutdown) first to stop gracefully. An engine
/// requires a tokio runtime with its time enabled.
///
/// ```
/// use connector_core::{Engine, Plugin};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new();
/// engine.register(Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b }))?;
/// let local = engine.register(Plugin::new("local"))?;
/// engine.manager().activate("local").await?;
/// // The call activates the calculator on demand.
/// assert_eq!(local.call::<i64>("calculator", "add", (1, 2)).await?, 3);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "dropping the last handle ends every plugin"]
pub struct Engine(Arc<Owner>);

/// Keeps the engine alive, unlike the handles of plugins.
#[derive(Debug)]
struct Owner(Arc<EngineState>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the engine's handles, tasks and links share.
pub(crate) struct EngineState {
    registry: ArcSwap<Registry>,
    emitters: Mutex<HashMap<Name, Arc<Emitter>>>,
    /// Plugins that have been removed and are still being deactivated.
    being_removed: Mutex<Vec<Arc<Entry>>>,
    /// Number of shutdowns in progress.
    shutdowns: AtomicUsize,
    clock: LogicalClock,
    /// Cancelled when the engine is dropped; ends its tasks.
    ended: CancellationToken,
    policy: Box<dyn Policy>,
    plugin_options: OptionsOf,
    on_registration: Option<RegistrationHook>,
    access_rules: Box<[Rule]>,
    memory: Arc<SharedBudget>,
    observers: Arc<Observers>,
    chains: Chains,
    /// Notified when a profile has changed.
    changes: watch::Sender<()>,
}

type OptionsOf = Box<dyn Fn(&Profile) -> PluginOptions + Send + Sync>;
type RegistrationHook = Box<dyn Fn(&Profile) + Send + Sync>;

const MANAGER: &str = "manager";

/// Builds an [`Engine`]: see [`Engine::builder`].
#[must_use = "call `build` to make the engine"]
pub struct EngineBuilder {
    policy: Box<dyn Policy>,
    plugin_options: OptionsOf,
    on_registration: Option<RegistrationHook>,
    access_rules: Vec<Rule>,
    memory_limit: usize,
    max_hops: u32,
}

impl EngineBuilder {
    /// Sets the manager's decisions. Default: [`DefaultPolicy`]. To restrict calls and subscriptions, add an
    /// [`access_rule`](EngineBuilder::access_rule).
    pub fn policy(mut self, policy: impl Policy) -> EngineBuilder {
        self.policy = Box::new(policy);
        self
    }

    /// Adds a rule that every call, event subscription, activation and deactivation must pass, including those that the
    /// host requests as `manager`. An operation that a rule denies is refused as
    /// [`Refusal::Denied`](crate::Refusal::Denied), which names the rule, regardless of the [`Policy`]. Default: no
    /// rules.
    ///
    /// A rule runs in the caller's task, so it must be quick and must not block. A rule that panics denies. Rules do
    /// not apply to what the engine itself does: handshakes, the question whether a plugin agrees to its deactivation
    /// (`canDeactivate`), [`Engine::remove`] and [`Engine::shutdown`]. Nor do they apply to the delivery of events:
    /// access is checked at subscription.
    ///
    /// "X may call only Y": the plugin `sandboxed` may call, listen to and activate only `files`, itself, and the
    /// manager, which updates its profile:
    ///
    /// ```
    /// use connector_core::{Access, Engine};
    ///
    /// let engine = Engine::builder()
    ///     .access_rule("sandboxed-sees-files-only", |access: &Access<'_>| {
    ///         access.from != "sandboxed" || ["files", "sandboxed", "manager"].contains(&access.to)
    ///     })
    ///     .build();
    /// ```
    ///
    /// To let it read files but not write them, match on the operation:
    ///
    /// ```
    /// use connector_core::{Access, Engine, Operation};
    ///
    /// let engine = Engine::builder()
    ///     .access_rule("sandboxed-reads-only", |access: &Access<'_>| match access.operation {
    ///         Operation::Call { method, .. } if access.from == "sandboxed" => method == "read",
    ///         _ => true,
    ///     })
    ///     .build();
    /// ```
    pub fn access_rule(
        mut self,
        name: impl Into<String>,
        allows: impl Fn(&Access<'_>) -> bool + Send + Sync + 'static,
    ) -> EngineBuilder {
        self.access_rules.push(Rule { name: name.into(), allows: Box::new(allows) });
        self
    }

    /// Sets the default options, for plugins registered without their own. Default: [`PluginOptions::default`].
    pub fn plugin_options(
        mut self,
        options: impl Fn(&Profile) -> PluginOptions + Send + Sync + 'static,
    ) -> EngineBuilder {
        self.plugin_options = Box::new(options);
        self
    }

    /// Sets the memory, in bytes, that the engine holds for all plugins behind links together. It counts what
    /// [`PluginOptions::memory_limit`] does, apart from messages in transit, with the same consequences, in steps of
    /// 64 KiB for each plugin: less than that admits nothing. Default 512 MiB.
    pub fn memory_limit(mut self, bytes: usize) -> EngineBuilder {
        self.memory_limit = bytes;
        self
    }

    /// Sets how often work may pass from one engine to another by calls of plugins that are lent ([`Engine::lend`]). A call
    /// beyond it is refused as [`Refusal::TooManyHops`](crate::Refusal::TooManyHops), which shows the way: two engines whose
    /// plugins call each other without end would otherwise do so until the first call times out. Applies to calls that this
    /// engine makes and to those that it receives; 0 admits none. Default 8.
    pub fn max_hops(mut self, hops: u32) -> EngineBuilder {
        self.max_hops = hops;
        self
    }

    /// Sets a hook that runs after each plugin's registration, following the plugin's own hook. A panic in it is
    /// traced.
    pub fn on_registration(mut self, hook: impl Fn(&Profile) + Send + Sync + 'static) -> EngineBuilder {
        self.on_registration = Some(Box::new(hook));
        self
    }

    /// Builds the engine, with its manager.
    pub fn build(self) -> Engine {
        let EngineBuilder { policy, plugin_options, on_registration, access_rules, memory_limit, max_hops } = self;
        let access_rules = access_rules.into_boxed_slice();
        let state = Arc::new_cyclic(|weak| {
            let manager = manager::plugin(weak);
            let emitter = Arc::new(Emitter::default());
            // Activations and permission requests are bounded by their own limits and the caller's.
            let options = PluginOptions::default().concurrency(usize::MAX).queue_timeout(Duration::from_secs(3600));
            let instance = crate::plugin::Instance::new(manager.clone());
            let location = entry::Location::Local(Arc::new(instance));
            let entry = Entry::new(manager.profile(), location, options, Arc::clone(&emitter));
            entry.begin_active();
            let name = Name::new_static(MANAGER);
            EngineState {
                registry: ArcSwap::from_pointee(HashMap::from_iter([(name.clone(), Arc::new(entry))])),
                emitters: Mutex::new(HashMap::from_iter([(name, emitter)])),
                being_removed: Mutex::default(),
                shutdowns: AtomicUsize::new(0),
                clock: LogicalClock::default(),
                ended: CancellationToken::new(),
                policy,
                plugin_options,
                on_registration,
                access_rules,
                memory: SharedBudget::new(memory_limit),
                observers: Arc::new(Observers::new()),
                chains: Chains::new(max_hops),
                changes: watch::Sender::new(()),
            }
        });
        Engine(Arc::new(Owner(state)))
    }
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder").finish_non_exhaustive()
    }
}

impl Engine {
    /// An engine with the published defaults: every plugin may call, listen to and activate every other, and deactivate
    /// only itself.
    pub fn new() -> Engine {
        Engine::builder().build()
    }

    /// Starts building an engine with other rules or options.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            policy: Box::new(DefaultPolicy),
            plugin_options: Box::new(|_| PluginOptions::default()),
            on_registration: None,
            access_rules: Vec::new(),
            memory_limit: 512 << 20,
            max_hops: MAX_HOPS,
        }
    }

    /// Registers a plugin: a [`Plugin`](crate::Plugin) value, or a [`Registration`] for one behind a connector. It is
    /// inactive at first. Returns the plugin's handle, with which the host calls, emits and listens in its name once
    /// the plugin is active.
    ///
    /// # Errors
    /// The name is taken, is empty, too long, or contains a dot; or nothing can work with one of the options.
    pub fn register(&self, plugin: impl Into<Registration>) -> Result<PluginClient, RegisterError> {
        self.0.0.register(plugin.into())
    }

    /// The manager, to activate and deactivate plugins, and to read their profiles.
    pub fn manager(&self) -> PluginManager {
        PluginManager(Arc::clone(&self.0.0))
    }

    /// Deactivates and unregisters a plugin. Does nothing if no plugin has that name, or for the manager. The name is
    /// free as soon as this is polled. If another plugin takes the name and becomes active before this one is
    /// deactivated, policies and listeners are notified of this one's deactivation first.
    ///
    /// Once polled, it is carried out even if this future is dropped.
    pub async fn remove(&self, name: &str) {
        self.0.0.remove(name).await;
    }

    /// Whether a plugin of that name is registered.
    pub fn is_registered(&self, name: &str) -> bool {
        self.0.0.find(name).is_some()
    }

    /// The state of a plugin's link, to read and to await. `None` if the plugin is unknown or in this process. The
    /// manager's events `linkDown` (plugin, reason) and `linkUp` (plugin) report the same changes.
    ///
    /// That of a plugin with [`Replicas`] is up while the link of any of them is. Once none is, it is down for the reason
    /// of the last loss, and then of the last attempt to make a link again. The events have one more argument, the name of
    /// the replica, and are emitted for each; `linkUp` also when one joins the active plugin, `linkDown` also when one leaves it.
    ///
    /// ```no_run
    /// # async fn example(engine: connector_core::Engine) -> Result<(), Box<dyn std::error::Error>> {
    /// use connector_core::LinkState;
    ///
    /// let mut state = engine.link_state("calculator").ok_or("it has no link")?;
    /// state.wait_for(LinkState::is_up).await?; // for example after a loss
    /// # Ok(()) }
    /// ```
    pub fn link_state(&self, name: &str) -> Option<watch::Receiver<LinkState>> {
        self.0.0.find(name)?.link_state().map(watch::Sender::subscribe)
    }

    /// Attaches an observer, which receives calls, events, links' states and messages until the returned guard is dropped.
    /// It does not receive calls that began before. Several observers may be attached.
    ///
    /// ```
    /// use connector_core::{CallOutcome, Engine, Observation, Plugin};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let engine = Engine::new();
    /// let _observing = engine.observe(|observation: &Observation<'_>| {
    ///     if let Observation::CallEnded { call, outcome: CallOutcome::Failed(error), .. } = observation {
    ///         println!("{} called {}.{}: {error}", call.from, call.to, call.method);
    ///     }
    /// });
    /// # let local = engine.register(Plugin::new("local"))?;
    /// # engine.manager().activate("local").await?;
    /// # local.call::<()>("nobody", "x", ()).await.unwrap_err();
    /// # Ok(()) }
    /// ```
    pub fn observe(&self, observer: impl Observer) -> Observing {
        self.0.0.observers.add(observer)
    }

    /// Deactivates every plugin gracefully and concurrently: deactivation hooks run, and links are closed. Each plugin
    /// is limited by its hook's time limit ([`activation_timeout`](PluginOptions::activation_timeout)) and its
    /// transport's. An activation in progress is abandoned, or finished and reversed, and until this completes no call
    /// activates a plugin. The engine can be used afterwards.
    ///
    /// Once polled, it is carried out even if this future is dropped. In a plugin's activation or deactivation hook it
    /// does not wait for that plugin.
    pub async fn shutdown(&self) {
        self.0.0.shutdown().await;
    }
}

impl Default for Engine {
    fn default() -> Self {
        Engine::new()
    }
}

impl EngineState {
    fn find(&self, name: &str) -> Option<Arc<Entry>> {
        let registry = self.registry.load();
        let entry = registry.get(name)?;
        entry.fetch();
        Some(Arc::clone(entry))
    }
}

impl fmt::Debug for EngineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("plugins", &self.registry.load().keys().collect::<Vec<_>>()).finish()
    }
}
