//! The plugins under test, in this process or behind a link: their hooks are slow, fail, or change other plugins' states.
//! Hooks are recorded, to check that each activation is paired with a deactivation.

use std::panic::resume_unwind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connector_core::{Plugin, PluginClient, PluginManager};
use fastrand::Rng;
use tokio::time::{sleep, timeout};

/// A hook whose requests take longer hangs. Less than the activation's limit, so that it is detected here.
const LIMIT: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hook {
    /// An activation hook has begun,
    Begun,
    /// or ended without failing,
    Activated,
    /// and a deactivation hook has ended.
    Deactivated,
}

/// Which hooks of a plugin have run.
#[derive(Debug)]
pub(crate) struct Hooks(Mutex<Noted>);

#[derive(Debug)]
struct Noted {
    /// In this process hooks alternate strictly; behind links, the first hook of the next link may run before the last hook of
    /// the previous one, so they are only counted.
    alternate: bool,
    last: Hook,
    activations: usize,
    deactivations: usize,
    wrong: Option<String>,
}

impl Hooks {
    pub(crate) fn new(alternate: bool) -> Arc<Hooks> {
        let last = Hook::Deactivated;
        Arc::new(Hooks(Mutex::new(Noted { alternate, last, activations: 0, deactivations: 0, wrong: None })))
    }

    fn note(&self, hook: Hook) {
        let mut noted = lock(&self.0);
        let fits = matches!(
            (noted.last, hook),
            (Hook::Deactivated | Hook::Begun, Hook::Begun)
                | (Hook::Begun, Hook::Activated)
                | (Hook::Activated, Hook::Deactivated)
        );
        if noted.alternate && !fits {
            noted.wrong = Some(format!("{hook:?} follows {:?}", noted.last));
        }
        noted.last = hook;
        // Behind a link the hook runs concurrently, and a loss cancels it; the last hook runs anyway.
        let activates = if noted.alternate { Hook::Activated } else { Hook::Begun };
        noted.activations += usize::from(hook == activates);
        noted.deactivations += usize::from(hook == Hook::Deactivated);
    }

    /// The mismatch of the hooks with the plugin's state, if any.
    pub(crate) fn wrong(&self, active: bool) -> Option<String> {
        let noted = lock(&self.0);
        let Noted { activations, deactivations, wrong, .. } = &*noted;
        let fits = *activations == deactivations + usize::from(active);
        wrong.clone().or_else(|| {
            (!fits).then(|| format!("active: {active}, after {activations} activations, {deactivations} deactivations"))
        })
    }
}

/// The behaviour of a plugin's hooks.
pub(crate) struct Nature {
    pub(crate) name: String,
    /// The maximum duration of a hook in milliseconds.
    pub(crate) takes: u64,
    /// One in this many hooks fails; 0 for none.
    pub(crate) fails: u32,
    /// The plugins whose states its hooks change, and the host's handle for that.
    pub(crate) meddles: Option<(Vec<String>, PluginManager)>,
    pub(crate) dice: Mutex<Rng>,
    /// Behind a link: the newest link's handle.
    pub(crate) client: Mutex<Option<PluginClient>>,
}

/// A plugin with that behaviour, which records its hooks.
pub(crate) fn plugin(nature: &Arc<Nature>, hooks: &Arc<Hooks>) -> Plugin {
    let (on, off) = ((Arc::clone(nature), Arc::clone(hooks)), (Arc::clone(nature), Arc::clone(hooks)));
    Plugin::new(nature.name.as_str())
        .method("echo", |value: u64| async move { value })
        .on_activation(move |client| {
            let (nature, hooks) = on.clone();
            async move {
                hooks.note(Hook::Begun);
                nature.work(client, &hooks).await;
                nature.may_fail();
                hooks.note(Hook::Activated);
            }
        })
        .on_deactivation(move |client| {
            let (nature, hooks) = off.clone();
            async move {
                nature.work(client, &hooks).await;
                hooks.note(Hook::Deactivated);
                nature.may_fail();
            }
        })
}

impl Nature {
    /// Ends the plugin's link from the plugin's end; false if it has none.
    pub(crate) fn leave(&self) -> bool {
        let client = lock(&self.client).take();
        client.inspect(PluginClient::disconnect).is_some()
    }

    pub(crate) fn may_fail(&self) {
        if self.fails > 0 && lock(&self.dice).u32(..self.fails) == 0 {
            // Skips the panic hook, which would print.
            resume_unwind(Box::new("a deliberate panic of a hook"));
        }
    }

    async fn work(&self, client: PluginClient, hooks: &Hooks) {
        let Some((others, manager)) = &self.meddles else {
            *lock(&self.client) = Some(client);
            return self.take_time().await;
        };
        self.take_time().await;
        let (other, how, dropped) = {
            let mut dice = lock(&self.dice);
            let other = others[dice.usize(..others.len())].clone();
            (other, dice.u8(..6), (dice.u8(..4) == 0).then(|| Duration::from_micros(dice.u64(..5000))))
        };
        let what = match how {
            0 => "activates another through the manager",
            1 => "deactivates another through the manager",
            2 => "activates another",
            3 => "deactivates another",
            _ => "calls another",
        };
        // The outcome is ignored: some of these wait for this hook itself.
        let work = async {
            match how {
                0 => drop(client.call::<()>("manager", "activatePlugin", (other.clone(),)).await),
                1 => drop(client.call::<()>("manager", "deactivatePlugin", (other.clone(),)).await),
                2 => drop(manager.activate(&other).await),
                3 => drop(manager.deactivate(&other).await),
                _ => drop(client.call::<u64>(&other, "echo", (1,)).await),
            }
        };
        if timeout(dropped.unwrap_or(LIMIT), work).await.is_err() && dropped.is_none() {
            lock(&hooks.0).wrong = Some(format!("a hook that {what}, {other}, hangs"));
        }
    }

    async fn take_time(&self) {
        let time = if self.takes == 0 { 0 } else { lock(&self.dice).u64(..self.takes) };
        if time > 0 {
            sleep(Duration::from_millis(time)).await;
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
