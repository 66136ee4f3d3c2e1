//! Plugins that this engine lends to another. The other reaches them over a link, as it reaches any plugin; here its
//! plugins are guests, who call with permission as `engine/plugin`.

use std::sync::{Arc, Mutex, Weak};

use foldhash::HashMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::bounds::MAX_NAME;
use super::entry::{Entry, Status};
use super::events::PUBLISHED;
use super::lifecycle::Change;
use super::location::Location;
use super::options::PluginOptions;
use super::{Engine, EngineState, MANAGER};
use crate::error::{Fault, LendError, Refusal};
use crate::excerpt::Excerpt;
use crate::plugin::{CAN_DEACTIVATE, Callback, Instance, MethodResult, Plugin, Scope};
use crate::profile::Profile;
use crate::runtime::BoxFuture;
use crate::sync::lock;
use crate::trace_limit::TraceLimit;
use crate::wire::{CallChain, Name, Payload};

impl Engine {
    /// A plugin of this engine, to serve to the engine named `borrower` over any transport: there it is a plugin like any
    /// other, registered with that transport's `plugin`.
    ///
    /// ```no_run
    /// # async fn example<S: Future>(serve: impl Fn(&str, Box<dyn Fn() -> connector_core::Plugin>) -> S) -> Result<(), connector_core::LendError> {
    /// use connector_core::Engine;
    ///
    /// let engine = Engine::new();
    /// let probe = engine.lend("probe", "away")?;
    /// serve("127.0.0.1:4000", Box::new(move || probe.clone())).await; // for example `transport_ws::serve`
    /// # Ok(()) }
    /// ```
    ///
    /// The borrower must name itself ([`PluginOptions::engine_name`]); an engine with another name is refused. A name is
    /// not a secret, and any peer that can connect may use it, so serve each borrower at a
    /// separate address, with a token that only it has.
    ///
    /// A call by the borrower's plugin `editor` is a call by `away/editor` here: access rules and the policy see that name.
    /// What the borrower's engine itself requests comes from `away/manager`: the activation of the plugin, if it is behind a
    /// link and its methods are not known yet, and subscriptions to its events, each as long as somebody listens there.
    /// Borrowed calls reach this plugin and its services, and nothing else. Whether the plugin agrees to a deactivation is
    /// not asked for another engine's, which ends only the loan.
    ///
    /// The plugin need not be registered or active yet. Its methods are those of its profile, also when they change. When
    /// it cannot be called, calls by the borrower end with the reason. The returned plugin does not keep this engine alive:
    /// when it is dropped, the links of its borrowers are closed.
    ///
    /// # Errors
    /// The plugin is the manager, or `borrower` is not a possible name.
    pub fn lend(&self, plugin: &str, borrower: &str) -> Result<Plugin, LendError> {
        if plugin == MANAGER {
            return Err(LendError::Manager);
        }
        if borrower.is_empty() || borrower.contains('/') || borrower.len() > MAX_NAME {
            return Err(LendError::BadName(Excerpt::new(borrower).to_string()));
        }
        let (engine, turn) = (Arc::downgrade(&self.0.0), self.0.0.chains.turn(borrower));
        let lent = Lent { engine, plugin: plugin.into(), borrower: borrower.into(), turn };
        Ok(Plugin { lent: Some(lent), ..Plugin::new(plugin) })
    }
}

/// A plugin that is offered to one other engine.
#[derive(Clone)]
pub(crate) struct Lent {
    engine: Weak<EngineState>,
    plugin: Name,
    borrower: Name,
    /// See [`Entry::turn`].
    turn: u64,
}

/// A lent plugin at one link to its borrower.
pub(crate) struct LentSession {
    lent: Lent,
    /// By the plugin's name at the borrower.
    guests: Mutex<HashMap<Name, Arc<Entry>>>,
    /// The methods that the borrower knows.
    told: Mutex<Vec<String>>,
    /// Limits the traces that the borrower causes.
    traces: Arc<TraceLimit>,
}

/// Guests without calls are forgotten when there are more.
const IDLE_GUESTS: usize = 64;
/// The most plugins of the borrower that call at once.
const MAX_GUESTS: usize = 1024;

impl Lent {
    pub(crate) fn session(&self) -> LentSession {
        LentSession {
            lent: self.clone(),
            guests: Mutex::default(),
            told: Mutex::default(),
            traces: Arc::new(TraceLimit::per_peer()),
        }
    }
}

impl LentSession {
    /// # Errors
    /// The handshake is another engine's.
    pub(crate) fn admit(&self, engine: Option<&str>) -> Result<(), Fault> {
        let plugin = &self.lent.plugin;
        match engine {
            Some(engine) if engine == self.lent.borrower => Ok(()),
            Some(engine) => {
                Err(Fault::new(format_args!("{plugin} is not lent to the engine \"{}\" here", Excerpt::new(engine))))
            }
            None => Err(Fault::new(format_args!(
                "{plugin} is lent to engines that name themselves: set the engine's name in the options of the plugin"
            ))),
        }
    }

    /// Activates the plugin if its methods are not known otherwise.
    ///
    /// # Errors
    /// It is not registered, or cannot be activated.
    pub(crate) async fn open(&self) -> Result<(), Fault> {
        let engine = self.engine("lend")?;
        let name = &self.lent.plugin;
        let is_known = |entry: Arc<Entry>| {
            entry.instance().is_some()
                || entry.interface().profile.methods.as_ref().is_some_and(|list| !list.is_empty())
        };
        if engine.find(name).is_some_and(is_known) {
            return Ok(());
        }
        let borrower = self.guest(MANAGER)?.profile();
        engine.change(Change::Activate, borrower, None, name).await.map_err(Fault::new)
    }

    /// The plugin's methods, as they are about to be sent to the borrower.
    pub(crate) fn tell_methods(&self) -> Vec<String> {
        let methods = self.methods();
        lock(&self.told).clone_from(&methods);
        methods
    }

    fn methods(&self) -> Vec<String> {
        let entry = self.lent.engine.upgrade().and_then(|engine| engine.find(&self.lent.plugin));
        // While the plugin is not registered, calls of its methods end with that reason.
        entry.map_or_else(|| lock(&self.told).clone(), |entry| entry.profile().methods.unwrap_or_default())
    }

    /// The changes of profiles and the end of this engine.
    pub(crate) fn changes(&self) -> Changes {
        let engine = self.lent.engine.upgrade();
        Changes(engine.map(|engine| (engine.changes.subscribe(), engine.ended.clone())))
    }

    /// The plugin's methods, once they are no longer those that the borrower knows. `None` when the engine has ended.
    pub(crate) async fn new_methods(&self, changes: &mut Changes) -> Option<Vec<String>> {
        let (changes, ended) = changes.0.as_mut()?;
        loop {
            ended.run_until_cancelled(changes.changed()).await?.ok()?;
            if self.methods() != *lock(&self.told) {
                return Some(self.tell_methods());
            }
        }
    }

    /// Runs a method for a plugin of the borrower.
    pub(crate) fn invoke(
        &self,
        from: &Name,
        path: &str,
        method: Name,
        args: Payload,
        scope: Option<Arc<Scope>>,
    ) -> BoxFuture<MethodResult> {
        if method == CAN_DEACTIVATE {
            return Box::pin(std::future::ready(Ok(Payload::new(true))));
        }
        let path: Name = match path.split_once('.') {
            None => self.lent.plugin.clone(),
            Some((_, services)) => format!("{}.{services}", self.lent.plugin).into(),
        };
        let (engine, guest) = (self.engine("call"), self.guest(from));
        Box::pin(async move {
            let (engine, guest) = (engine?, guest?);
            let admitted = engine.admit_guest(&guest, &path, &method, scope.as_deref());
            let mut attended = engine.attend_guest(&guest, &path, &method, scope, &args);
            let outcome = match admitted {
                Ok(()) => engine.call(&guest, &path, &method, args, attended.as_deref_mut()).await,
                Err(refusal) => Err(refusal.into()),
            };
            let outcome = match attended {
                None => outcome,
                Some(attended) => attended.end(outcome),
            };
            outcome.map_err(Fault::of_borrowed_call)
        })
    }

    /// Somebody at the borrower listens to an event of the plugin, or nobody any longer.
    pub(crate) fn listened(&self, event: &Name, callback: Option<Callback>) {
        let plugin = &self.lent.plugin;
        let (Ok(engine), Ok(guest)) = (self.engine("on"), self.guest(MANAGER)) else { return };
        let Some(callback) = callback else { return engine.end_subscription(&guest, plugin, event, PUBLISHED) };
        let subscription = (plugin.clone(), event.clone(), PUBLISHED);
        let is_subscribed = lock(&guest.listens_to).contains_key(&subscription);
        let done = if is_subscribed { Ok(()) } else { engine.listen(&guest, plugin, event, false, callback) };
        if let Err(refusal) = done {
            guest.warn(|borrower, left_out| {
                let refusal = Excerpt::new(refusal);
                tracing::warn!(borrower, left_out, %refusal, "refused to an engine that borrows a plugin");
            });
        }
    }

    /// Further work waits for a call by the borrower.
    pub(crate) fn awaited(&self, runs: &CallChain) {
        if let Ok(engine) = self.engine("await") {
            engine.awaited(&self.lent.plugin, runs);
        }
    }

    /// A plugin of the borrower, as a caller.
    ///
    /// # Errors
    /// Its name is too long, or too many of the borrower's plugins call.
    fn guest(&self, plugin: &str) -> Result<Arc<Entry>, Fault> {
        if plugin.len() > MAX_NAME {
            return Err(Fault::new(Refusal::NameTooLong { length: plugin.len(), limit: MAX_NAME }));
        }
        let mut guests = lock(&self.guests);
        if let Some(guest) = guests.get(plugin) {
            return Ok(Arc::clone(guest));
        }
        if guests.len() >= IDLE_GUESTS {
            guests.retain(|name, guest| name == MANAGER || Arc::strong_count(guest) > 1);
        }
        if guests.len() >= MAX_GUESTS && plugin != MANAGER {
            let borrower = &self.lent.borrower;
            return Err(Fault::new(format_args!(
                "{MAX_GUESTS} plugins of {borrower} are calling {}. Try again later.",
                self.lent.plugin
            )));
        }
        let profile = Profile::new(format!("{}/{plugin}", self.lent.borrower));
        let instance = Arc::new(Instance::new(Plugin::new(profile.clone())));
        let mut guest = Entry::new(profile, Location::Local(instance), PluginOptions::default(), Arc::default());
        guest.traces = Arc::clone(&self.traces);
        // Otherwise the borrower could multiply its share of a queue.
        guest.turn = self.lent.turn;
        guest.begin_active();
        let guest = Arc::new(guest);
        guests.insert(plugin.into(), Arc::clone(&guest));
        Ok(guest)
    }

    fn engine(&self, operation: &'static str) -> Result<Arc<EngineState>, Fault> {
        let engine = self.lent.engine.upgrade().filter(|engine| !engine.ended.is_cancelled());
        engine.ok_or_else(|| Fault::new(Refusal::EngineGone { name: self.lent.plugin.to_string(), operation }))
    }
}

/// The borrower no longer listens.
impl Drop for LentSession {
    fn drop(&mut self) {
        let guests = std::mem::take(&mut *lock(&self.guests));
        for guest in guests.values() {
            guest.set_status(Status::Inactive);
            if let Some(engine) = self.lent.engine.upgrade() {
                engine.forget_events(guest);
            }
        }
    }
}

/// What a lent plugin waits for; `None` if the engine has ended.
pub(crate) struct Changes(Option<(watch::Receiver<()>, CancellationToken)>);
