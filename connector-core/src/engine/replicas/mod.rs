//! A plugin that is served at several places: its replicas.

mod call;
mod choice;
mod keeper;
mod places;
mod replica_set;
mod set;

use std::fmt;

pub use choice::Choice;
pub(super) use keeper::start;
pub use places::{PlaceChange, Places};
pub(super) use replica_set::{Membership, ReplicaSet};

use super::bounds::MAX_NAME;
use super::registration::{Registration, Source};
use crate::connector::PluginConnector;
use crate::error::RegisterError;
use crate::profile::Profile;

/// The number of replicas that a plugin may have.
pub(super) const MAX_REPLICAS: usize = 1024;

/// A plugin that is served at several places, by *replicas*: to register with
/// [`Engine::register`](crate::Engine::register).
///
/// To callers, listeners and policies it is one plugin. Each replica has its own link, which is made when the plugin is
/// activated and made again after a loss.
///
/// - **Calls.** Each goes to one replica, by the plugin's [`Choice`], out of those that are up, do not drain, and list the
///   method: the plugin exposes what any of its replicas does, and they may run different versions. Each replica has its
///   own queue: [`PluginOptions::concurrency`](crate::PluginOptions::concurrency) and
///   [`queue_length`](crate::PluginOptions::queue_length) are those of each.
/// - **Losses.** The calls that a replica runs when its link ends, end as
///   [`CallError::LinkLost`](crate::CallError::LinkLost), because their methods may have run; those that any replica may
///   run again ([`idempotent`](Replicas::idempotent)) do that. Calls that were not sent yet go to another replica. If no
///   replica is up, a call ends as one to a plugin whose link is down.
/// - **Draining.** A replica that is stopped gracefully ([`Serving::until`](crate::Serving::until),
///   [`PluginClient::finish`](crate::PluginClient::finish)) says so, receives no calls from then on, completes those that
///   it runs, and closes its link. So restarting one replica after another costs no call. This needs a native plugin;
///   of others, [`PlaceChange::Draining`] says it.
/// - **Events.** An event that any replica emits is the plugin's. What a replica requests is its own: it receives the
///   results of its calls and the events that it has subscribed to, under the plugin's name and permissions.
/// - **State.** The plugin can be activated once one of its replicas is up; the others join it. It remains active, and
///   [`Engine::link_state`](crate::Engine::link_state) is up while any is. The manager's events `linkDown` and `linkUp`
///   name the replica in addition to the plugin. Every other limit of [`PluginOptions`](crate::PluginOptions) is one of
///   each replica too.
///
/// At most 1,024 replicas. A plugin in the engine's process cannot be one.
///
/// ```no_run
/// use connector_core::{Choice, Engine, PluginConnector, Replicas};
///
/// # fn example(engine: Engine, one: impl PluginConnector, other: impl PluginConnector) -> Result<(), Box<dyn std::error::Error>> {
/// let calculator = Replicas::new("calculator")
///     .replica("one", "ws://10.0.0.1:4000", one)
///     .replica("other", "ws://10.0.0.2:4000", other)
///     .choice(Choice::Caller)
///     .idempotent(["add"]);
/// engine.register(calculator)?;
/// # Ok(()) }
/// ```
#[must_use = "pass it to `Engine::register`"]
pub struct Replicas {
    pub(super) profile: Profile,
    pub(super) fixed: Vec<Place>,
    pub(super) places: Option<Box<dyn Places>>,
    pub(super) choice: Choice,
    pub(super) idempotent: Vec<String>,
}

/// Where a replica is.
pub(super) struct Place {
    pub(super) replica: String,
    pub(super) url: String,
    pub(super) connector: Box<dyn PluginConnector>,
}

impl Replicas {
    /// The plugin `profile` (a name is enough), without replicas so far.
    pub fn new(profile: impl Into<Profile>) -> Replicas {
        let mut profile = profile.into();
        // As for a plugin with one link.
        profile.methods.get_or_insert_default();
        let (fixed, places, choice, idempotent) = (Vec::new(), None, Choice::default(), Vec::new());
        Replicas { profile, fixed, places, choice, idempotent }
    }

    /// Adds a replica that `connector` reaches at `url` (after [`transform_url`](crate::PluginOptions::transform_url)).
    /// Its name is unique among the replicas, and need not say anything.
    pub fn replica(
        mut self,
        name: impl Into<String>,
        url: impl Into<String>,
        connector: impl PluginConnector,
    ) -> Replicas {
        self.fixed.push(Place { replica: name.into(), url: url.into(), connector: Box::new(connector) });
        self
    }

    /// Adds replicas that come and go while the plugin is active.
    pub fn places(mut self, places: impl Places) -> Replicas {
        self.places = Some(Box::new(places));
        self
    }

    /// Sets how a replica is chosen for each call. Default: [`Choice::LeastBusy`].
    pub fn choice(mut self, choice: Choice) -> Replicas {
        self.choice = choice;
        self
    }

    /// Names methods that may run more than once for one call: if a replica's link ends while it runs such a call, another
    /// replica runs it again, at most twice. Default: none.
    pub fn idempotent<S: Into<String>>(mut self, methods: impl IntoIterator<Item = S>) -> Replicas {
        self.idempotent.extend(methods.into_iter().map(Into::into));
        self
    }

    /// # Errors
    /// There are too many replicas, or two have the same name, or nothing can work with a setting.
    pub(super) fn check(&self) -> Result<(), RegisterError> {
        let plugin = || self.profile.name.clone();
        let bad = |replica: &str, why: String| {
            let replica = replica.to_owned();
            RegisterError::BadReplica { plugin: plugin(), replica, why }
        };
        self.choice.check().map_err(|setting| RegisterError::Setting { plugin: plugin(), setting })?;
        let mut names: Vec<&str> = self.fixed.iter().map(|place| &*place.replica).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(bad(twice[0], "another replica has this name".to_owned()));
        }
        for (number, place) in self.fixed.iter().enumerate() {
            check_name(&place.replica).map_err(|why| bad(&place.replica, why))?;
            if number >= MAX_REPLICAS {
                return Err(bad(&place.replica, format!("a plugin may have at most {MAX_REPLICAS} replicas")));
            }
        }
        if names.is_empty() && self.places.is_none() {
            return Err(bad("", "there is none: add replicas, or places where to find them".to_owned()));
        }
        Ok(())
    }
}

/// # Errors
/// The name of a replica is empty or too long.
fn check_name(name: &str) -> Result<(), String> {
    match name.len() {
        0 => Err("its name is empty".to_owned()),
        1..=MAX_NAME => Ok(()),
        length => Err(format!("its name has {length} bytes, and may have at most {MAX_NAME}")),
    }
}

impl From<Replicas> for Registration {
    fn from(replicas: Replicas) -> Registration {
        Registration { profile: replicas.profile.clone(), source: Source::Replicas(Box::new(replicas)), options: None }
    }
}

impl Replicas {
    /// Registers with these options instead of the engine's defaults. Each replica has them.
    pub fn options(self, options: crate::PluginOptions) -> Registration {
        Registration::from(self).options(options)
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.fixed.iter().map(|place| &*place.replica).collect();
        f.debug_struct("Replicas").field("profile", &self.profile).field("replicas", &names).finish_non_exhaustive()
    }
}
