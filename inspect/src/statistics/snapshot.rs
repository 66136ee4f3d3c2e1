//! Statistics at one moment.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::counters::{Counters, Sums};
use super::links::LinkEntry;
use super::{Edge, Statistics, lock};
use crate::text::plugin_of;

/// The calls to each plugin, and of each plugin to each other, at one moment. From [`Statistics::snapshot`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Snapshot {
    /// Microseconds since the statistics began. Rates are differences of counts, divided by a difference of these.
    pub at: u64,
    /// The plugins that were called, by name.
    pub plugins: BTreeMap<Box<str>, PluginStatistics>,
    /// Who calls whom.
    pub edges: Vec<EdgeStatistics>,
    /// The state of each link that has changed since the statistics were attached, by the plugin's name.
    pub links: HashMap<Box<str>, LinkEntry>,
}

/// Counts of calls.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Calls {
    /// Calls that have ended, however they ended.
    pub calls: u64,
    /// Of these, the ones that ended with an error.
    pub errors: u64,
    /// Of these, the ones that their caller dropped.
    pub dropped: u64,
    /// Calls in the queue.
    pub waiting: u64,
    /// Calls that run.
    pub running: u64,
    /// The mean duration of calls that ran, from call to end, in microseconds; 0 if there were none.
    pub mean: u64,
}

/// Percentiles of the durations of calls that ran, from call to end, in microseconds, to one part in 16; 0 if there were none.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct Latency {
    /// The median.
    pub p50: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// The last call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LastError {
    /// When it ended, in microseconds since the statistics began.
    pub at: u64,
    /// The caller.
    pub from: Box<str>,
    /// The method, as the caller named it.
    pub method: Box<str>,
    /// The error: its first 200 characters.
    pub text: Box<str>,
}

/// The calls to a plugin.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PluginStatistics {
    /// The counts.
    #[serde(flatten)]
    pub calls: Calls,
    /// The durations.
    #[serde(flatten)]
    pub latency: Latency,
    /// The last call that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
}

/// The calls of one plugin to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EdgeStatistics {
    /// The caller.
    pub from: Box<str>,
    /// The plugin called.
    pub to: Box<str>,
    /// The counts.
    #[serde(flatten)]
    pub calls: Calls,
}

/// The methods, events and link of one plugin. From [`Statistics::plugin`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PluginDetails {
    /// The methods that were called, by name. A service's method is `service.method`.
    pub methods: Vec<MethodStatistics>,
    /// The events that were emitted, by name.
    pub events: Vec<EventStatistics>,
    /// The last states of the plugin's link, oldest first.
    pub links: Vec<LinkEntry>,
}

/// The calls to one method.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct MethodStatistics {
    /// The method.
    pub name: Box<str>,
    /// The counts, the durations and the last error.
    #[serde(flatten)]
    pub total: PluginStatistics,
    /// A histogram of the durations: pairs of an upper bound in microseconds and a count.
    pub latency: Vec<(u64, u64)>,
    /// Who calls it.
    pub callers: Vec<CallerStatistics>,
}

/// The calls of one plugin to a method.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct CallerStatistics {
    /// The caller.
    pub name: Box<str>,
    /// The counts.
    #[serde(flatten)]
    pub calls: Calls,
}

/// An event of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct EventStatistics {
    /// The event.
    pub name: Box<str>,
    /// How often it was emitted.
    pub count: u64,
    /// The number of subscriptions that received the last occurrence.
    pub listeners: usize,
    /// When it was last emitted, in microseconds since the statistics began.
    pub last: u64,
}

impl PluginStatistics {
    fn of(counters: &Counters) -> PluginStatistics {
        PluginStatistics {
            calls: counters.sums.calls(),
            latency: counters.latency(),
            last_error: counters.last_error(),
        }
    }
}

#[cfg(feature = "server")]
impl MethodStatistics {
    /// Of a method that was not called.
    pub(crate) fn unused(name: &str) -> MethodStatistics {
        MethodStatistics { name: name.into(), ..MethodStatistics::default() }
    }
}

impl Statistics {
    /// The counts of all plugins. Takes about a millisecond for a thousand pairs of a caller and a method, and holds up calls
    /// for a fraction of that.
    pub fn snapshot(&self) -> Snapshot {
        let mut plugins = BTreeMap::<Box<str>, Counters>::new();
        let mut edges = BTreeMap::<(Box<str>, Box<str>), Sums>::new();
        let _running = self.count_running();
        for shard in self.shards() {
            for edge in shard.edges.iter().filter(|edge| !edge.counters.is_unused()) {
                let to = plugin_of(&edge.to);
                match plugins.get_mut(to) {
                    Some(plugin) => plugin.add(&edge.counters),
                    None => plugins.entry(to.into()).or_default().add(&edge.counters),
                }
                edges.entry((edge.from.clone(), to.into())).or_default().add(&edge.counters.sums);
            }
        }
        let links = lock(&self.0.links).current().map(|(plugin, entry)| (plugin.into(), entry.clone())).collect();
        Snapshot {
            at: self.now(),
            plugins: plugins.into_iter().map(|(name, total)| (name, PluginStatistics::of(&total))).collect(),
            edges: edges
                .into_iter()
                .map(|((from, to), sums)| EdgeStatistics { from, to, calls: sums.calls() })
                .collect(),
            links,
        }
    }

    /// The methods, events and link of one plugin.
    pub fn plugin(&self, name: &str) -> PluginDetails {
        let mut methods = BTreeMap::<String, (Counters, Vec<CallerStatistics>)>::new();
        let mut events = Vec::new();
        let _running = self.count_running();
        for shard in self.shards() {
            let is_of_plugin = |edge: &&Edge| plugin_of(&edge.to) == name && !edge.counters.is_unused();
            for edge in shard.edges.iter().filter(is_of_plugin) {
                let method = match edge.to.split_once('.') {
                    Some((_, service)) => format!("{service}.{}", edge.method),
                    None => edge.method.to_string(),
                };
                let (total, callers) = methods.entry(method).or_default();
                total.add(&edge.counters);
                callers.push(CallerStatistics { name: edge.from.clone(), calls: edge.counters.sums.calls() });
            }
            let emitted = shard.events.iter().filter(|known| *known.emitter == *name);
            events.extend(emitted.map(|known| EventStatistics {
                name: known.event.clone(),
                count: known.count,
                listeners: known.listeners,
                last: known.last,
            }));
        }
        events.sort_by(|a, b| a.name.cmp(&b.name));
        let methods = methods.into_iter().map(|(method, (total, mut callers))| {
            callers.sort_by(|a, b| a.name.cmp(&b.name));
            MethodStatistics {
                name: method.into(),
                total: PluginStatistics::of(&total),
                latency: total.buckets(),
                callers,
            }
        });
        PluginDetails { methods: methods.collect(), events, links: lock(&self.0.links).history(name) }
    }
}
