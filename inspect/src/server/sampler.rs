//! Takes a sample of the engine's state about once a second, while there are viewers.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use connector_core::{Profile, redacted_url};
use serde::Serialize;
use serde_json::{Value, json};

use super::Server;
use super::table::{Changes, Pair};
use crate::statistics::{Calls, LinkEntry, PluginStatistics};
use crate::text::beginning;

const INTERVAL: Duration = Duration::from_secs(1);
/// A sample may take one part in this many of a processor.
const SHARE: u32 = 5;
/// Bytes of a text in a profile, and items of a list.
const MAX_TEXT: usize = 200;
const MAX_ITEMS: usize = 100;

/// Samples until the future is dropped.
pub(super) async fn run(server: Arc<Server>) {
    let mut sampler = Sampler::default();
    loop {
        let began = Instant::now();
        let sampled_by = Arc::clone(&server);
        // On another thread: it takes as long as there are plugins.
        let sampled = tokio::task::spawn_blocking(move || {
            let changes = sampler.sample(&sampled_by);
            sampled_by.table.apply(changes);
            sampler
        });
        match sampled.await {
            Ok(returned) => sampler = returned,
            Err(error) => return tracing::error!(%error, "the inspector's state is not updated any more"),
        }
        let pause = tokio::time::sleep(INTERVAL.max(began.elapsed() * SHARE));
        tokio::select! {
            () = pause => if !server.table.has_viewers() {
                server.table.refresh.notified().await;
            },
            () = server.table.refresh.notified() => {}
        }
    }
}

/// What the last sample found.
#[derive(Default)]
struct Sampler {
    at: u64,
    plugins: HashMap<Arc<str>, Known>,
    edges: HashMap<Pair, Rated<Calls>>,
}

/// A plugin as last sampled.
#[derive(Default)]
struct Known {
    location: Option<&'static str>,
    profile: Option<Profile>,
    active: Option<bool>,
    link: Option<Option<LinkEntry>>,
    error: Option<Option<String>>,
    statistics: Option<Option<Rated<PluginStatistics>>>,
}

#[derive(Clone, PartialEq, Serialize)]
struct Rated<T> {
    #[serde(flatten)]
    counts: T,
    rate: f64,
}

impl Sampler {
    fn sample(&mut self, server: &Server) -> Changes {
        let mut snapshot = server.statistics.snapshot();
        let elapsed = snapshot.at.saturating_sub(self.at);
        let rate = |before: u64, now: u64| match elapsed {
            0 => 0.0,
            elapsed => (now.saturating_sub(before) as f64 * 1e7 / elapsed as f64).round() / 10.0,
        };
        let mut changes = Changes { at: snapshot.at, ..Changes::default() };
        let manager = server.engine.manager();
        let profiles = manager.profiles();
        let registered: HashSet<String> = profiles.iter().map(|profile| profile.name.clone()).collect();
        for profile in profiles {
            let name: Arc<str> = profile.name.as_str().into();
            let known = self.plugins.entry(Arc::clone(&name)).or_default();
            let mut parts = Vec::new();
            let state = server.engine.link_state(&name).map(|state| state.borrow().clone());
            let location = if state.is_some() { "remote" } else { "local" };
            if changed(&mut known.location, &location) {
                parts.push((0, json!(location).to_string()));
            }
            let active = manager.is_active(&name);
            if changed(&mut known.active, &active) {
                parts.push((1, active.to_string()));
            }
            if known.profile.as_ref() != Some(&profile) {
                parts.push((2, shown(&profile).to_string()));
                known.profile = Some(profile);
            }
            let link = state.map(|state| match snapshot.links.remove(&*name) {
                Some(observed) => observed,
                None => LinkEntry::new(&state, 0),
            });
            if changed(&mut known.link, &link) {
                parts.push((3, json!(link).to_string()));
            }
            if active {
                server.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&*name);
            }
            let error = server.failure(&name);
            if changed(&mut known.error, &error) {
                parts.push((4, json!(error).to_string()));
            }
            let before = known.statistics.iter().flatten().next().map_or(0, |before| before.counts.calls.calls);
            let statistics = snapshot.plugins.remove(&*name);
            let statistics = statistics.map(|counts| Rated { rate: rate(before, counts.calls.calls), counts });
            if changed(&mut known.statistics, &statistics) {
                parts.push((5, json!(statistics).to_string()));
            }
            if !parts.is_empty() {
                changes.plugins.push((name, parts));
            }
        }
        self.plugins.retain(|name, _| {
            let is_registered = registered.contains(&**name);
            if !is_registered {
                changes.removed.push(Arc::clone(name));
            }
            is_registered
        });
        for edge in snapshot.edges {
            let pair: Pair = (Arc::from(&*edge.from), Arc::from(&*edge.to));
            let before = self.edges.get(&pair);
            let now = Rated {
                rate: rate(before.map_or(0, |before| before.counts.calls), edge.calls.calls),
                counts: edge.calls,
            };
            if before != Some(&now) {
                let mut shown = json!(now);
                (shown["from"], shown["to"]) = ((*edge.from).into(), (*edge.to).into());
                changes.edges.push((pair.clone(), shown.to_string()));
                self.edges.insert(pair, now);
            }
        }
        self.at = changes.at;
        changes
    }
}

/// Whether a value differs from the known one, which it replaces.
fn changed<T: Clone + PartialEq>(known: &mut Option<T>, now: &T) -> bool {
    let differs = known.as_ref() != Some(now);
    if differs {
        *known = Some(now.clone());
    }
    differs
}

/// A profile for a list of plugins: no secrets, and nothing long.
fn shown(profile: &Profile) -> Value {
    let mut shown = json!(without_secrets(profile.clone()));
    if let Some(members) = shown.as_object_mut() {
        members.remove("name");
        let methods = profile.methods.as_ref().map_or(0, Vec::len);
        members.values_mut().for_each(|value| cut(value, 2));
        if methods > MAX_ITEMS {
            members.insert("methodCount".to_owned(), methods.into());
        }
    }
    shown
}

/// Cuts long texts and lists, and what is nested deeper than `levels`.
fn cut(value: &mut Value, levels: usize) {
    match value {
        Value::String(text) if text.len() > MAX_TEXT => *text = format!("{}…", beginning(text, MAX_TEXT)),
        Value::Array(_) | Value::Object(_) if levels == 0 => *value = "…".into(),
        Value::Array(items) => {
            items.truncate(MAX_ITEMS);
            items.iter_mut().for_each(|item| cut(item, levels - 1));
        }
        Value::Object(members) => {
            let extra: Vec<String> = members.keys().skip(MAX_ITEMS).cloned().collect();
            extra.iter().for_each(|name| drop(members.remove(name)));
            members.values_mut().for_each(|member| cut(member, levels - 1));
        }
        _ => {}
    }
}

/// A profile whose URL shows no secrets.
pub(super) fn without_secrets(mut profile: Profile) -> Profile {
    profile.url = profile.url.as_deref().map(redacted_url);
    profile
}
