//! The task that lets a plugin's replicas join and leave while the plugin is active.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::{Pin, pin};
use std::sync::{Arc, Weak};

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::sync::watch;

use super::places::PlaceChange;
use super::replica_set::ReplicaSet;
use super::{MAX_REPLICAS, Place, check_name};
use crate::connector::ConnectError;
use crate::engine::EngineState;
use crate::engine::entry::Entry;
use crate::engine::link_state::ConnectionEvent;
use crate::engine::supervisor;
use crate::error::ActivateError;
use crate::excerpt::Excerpt;
use crate::guard;
use crate::redact::redacted_url;
use crate::runtime;
use crate::sync::lock;

/// Starts the links of a plugin's replicas, and waits for the first handshake.
///
/// # Errors
/// No replica can be reached, or none answers within the activation's time limit. The tasks have ended then.
pub(in crate::engine) async fn start(
    engine: Weak<EngineState>,
    plugin: &Arc<Entry>,
    set: &Arc<ReplicaSet>,
) -> Result<(), ActivateError> {
    set.stopped().await;
    // If this future is dropped, so is the activation.
    let mut on_drop = AbortUnlessKept(Some((engine.clone(), plugin)));
    set.begin();
    for member in set.members() {
        supervisor::join(engine.clone(), &member);
    }
    let (running, ended) = watch::channel(());
    let keeper = Keeper { engine, plugin: Arc::clone(plugin), set: Arc::clone(set), _running: running };
    *lock(&set.keeper) = Some((Some(runtime::spawn(keeper.run())), ended));
    let limit = plugin.options.activation_timeout;
    match runtime::timeout(limit, pin!(set.first_link())).await {
        Some(Ok(())) => {
            on_drop.0 = None;
            Ok(())
        }
        Some(Err(())) | None => Err(set.failure(limit)),
    }
}

struct AbortUnlessKept<'a>(Option<(Weak<EngineState>, &'a Arc<Entry>)>);

impl Drop for AbortUnlessKept<'_> {
    fn drop(&mut self) {
        if let Some((engine, plugin)) = &self.0 {
            // Those that were found may have subscribed to events already.
            if let Some(engine) = engine.upgrade() {
                engine.isolate(plugin);
            }
            plugin.abort_links();
        }
    }
}

struct Keeper {
    engine: Weak<EngineState>,
    plugin: Arc<Entry>,
    set: Arc<ReplicaSet>,
    _running: watch::Sender<()>,
}

/// Unless the plugin is being deactivated, its runtime has shut down.
impl Drop for Keeper {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.upgrade() {
            engine.link_task_ended(&self.plugin);
        }
    }
}

/// Replicas that retire, until they have ended.
type Retiring = FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send>>>;
/// Places that were found while there were too many replicas.
type Waiting = VecDeque<Place>;

impl Keeper {
    async fn run(self) {
        let mut places = self.set.places.lock().await;
        let (traces, name) = (&self.plugin.traces, &self.plugin.name);
        if let Some(places) = &mut *places {
            guard::call(traces, name, "the places' `activated`", || places.activated());
        }
        let (mut retiring, mut waiting, mut has_ended) = (Retiring::new(), Waiting::new(), places.is_none());
        let mut last_failure = None;
        loop {
            let change = async {
                match &mut *places {
                    Some(places) if !has_ended => {
                        guard::run(traces, name, "the places", pin!(places.next())).await.flatten()
                    }
                    _ => pending().await,
                }
            };
            let retired = async {
                if retiring.next().await.is_none() {
                    pending().await
                }
            };
            let change = match select(pin!(change), pin!(retired)).await {
                Either::Left((change, _)) => change,
                Either::Right(((), _)) => {
                    if let Some(place) = waiting.pop_front() {
                        self.found(place, &retiring, &mut waiting);
                    }
                    continue;
                }
            };
            let failure = match change {
                None => {
                    has_ended = true;
                    continue;
                }
                Some(PlaceChange::Found { replica, url, connector }) => {
                    self.found(Place { replica, url, connector }, &retiring, &mut waiting);
                    None
                }
                Some(PlaceChange::Draining { replica }) => {
                    waiting.retain(|place| place.replica != replica);
                    if let Some((member, id)) = self.find(&replica) {
                        self.set.lock().retire(id, false);
                        member.move_waiting_calls();
                    }
                    None
                }
                Some(PlaceChange::Gone { replica }) => {
                    waiting.retain(|place| place.replica != replica);
                    self.gone(&replica, &retiring);
                    None
                }
                Some(PlaceChange::SearchFailed { url, error }) => Some((redacted_url(&url), error)),
            };
            if let Some((url, error)) = &failure {
                self.search_failed(url, error, &mut last_failure);
            }
            self.set.set_search(failure);
        }
    }

    /// Warns of each reason once: a search that fails is repeated again and again.
    fn search_failed(&self, url: &str, error: &ConnectError, last: &mut Option<String>) {
        let why = Excerpt::new(error);
        let text = Some(why.to_string());
        if *last == text {
            return tracing::debug!(plugin = &*self.plugin.name, url, %why, "replicas still cannot be looked for");
        }
        self.plugin.warn(|plugin, left_out| {
            tracing::warn!(plugin, url, %why, left_out, "replicas cannot be looked for: trying again");
        });
        *last = text;
    }

    fn found(&self, place: Place, retiring: &Retiring, waiting: &mut Waiting) {
        self.gone(&place.replica, retiring);
        waiting.retain(|other| other.replica != place.replica);
        let is_full = self.set.members().len() >= MAX_REPLICAS;
        let refused = match () {
            () if self.is_fixed(&place.replica) => {
                Err("the plugin is registered with a replica of that name".to_owned())
            }
            () if is_full && waiting.len() >= MAX_REPLICAS => {
                Err(format!("the plugin has {MAX_REPLICAS} replicas already, and as many wait"))
            }
            () => check_name(&place.replica),
        };
        if let Err(why) = refused {
            return self.plugin.warn(|plugin, left_out| {
                let replica = Excerpt::new(&place.replica);
                tracing::warn!(plugin, ?replica, %why, left_out, "a replica that was found is left out");
            });
        }
        // A replica that has gone counts until its calls have ended, and this one is announced only once: keep it.
        if is_full {
            self.plugin.warn(|plugin, left_out| {
                let (replica, limit) = (Excerpt::new(&place.replica), MAX_REPLICAS);
                tracing::warn!(
                    plugin,
                    ?replica,
                    limit,
                    left_out,
                    "a replica that was found waits until another has gone"
                );
            });
            return waiting.push_back(place);
        }
        tracing::debug!(plugin = &*self.plugin.name, replica = ?Excerpt::new(&place.replica), "a replica is found");
        let member = self.set.add(&self.plugin, place, true);
        supervisor::join(self.engine.clone(), &member);
        // A deactivation may have missed it.
        if self.set.has_ended() {
            if let Some(engine) = self.engine.upgrade() {
                engine.isolate(&member);
            }
            member.abort_links();
            if let Some(membership) = member.membership() {
                self.set.lock().remove(membership.id);
            }
        }
    }

    /// A replica ends once the calls that it runs have ended.
    fn gone(&self, replica: &str, retiring: &Retiring) {
        let Some((member, id)) = self.find(replica) else { return };
        tracing::debug!(plugin = &*self.plugin.name, replica = ?Excerpt::new(replica), "a replica is gone");
        self.set.lock().retire(id, true);
        member.move_waiting_calls();
        let (engine, plugin, set) = (self.engine.clone(), Arc::clone(&self.plugin), Arc::clone(&self.set));
        let limit = self.plugin.options.queue_timeout;
        retiring.push(Box::pin(async move {
            // A call that runs longer has timed out.
            let _ = runtime::timeout(limit, pin!(set.has_no_calls(id))).await;
            if let Some(remote) = member.remote() {
                remote.transition(ConnectionEvent::Leave, Vec::new());
                supervisor::stopped(remote).await;
            }
            let Some(engine) = engine.upgrade() else { return };
            engine.isolate(&member);
            if let Some(remote) = member.remote() {
                remote.transition(ConnectionEvent::Reset, Vec::new());
            }
            set.lock().remove(id);
            set.publish();
            if set.update_methods(&plugin) {
                engine.profile_updated(&plugin);
            }
        }));
    }

    /// A replica that was found and is not gone.
    fn find(&self, replica: &str) -> Option<(Arc<Entry>, u64)> {
        self.set.members().into_iter().find_map(|member| {
            let membership = member.membership().filter(|it| it.found && it.replica == *replica)?;
            let id = membership.id;
            (!self.set.lock().is_gone(id)).then_some((member, id))
        })
    }

    fn is_fixed(&self, replica: &str) -> bool {
        let is_it = |member: &Arc<Entry>| member.membership().is_some_and(|it| !it.found && it.replica == *replica);
        self.set.members().iter().any(is_it)
    }
}
