//! The most recent records of an engine.

use std::collections::{HashSet, VecDeque};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use connector_core::{Observation, Observer};
use serde::{Deserialize, Deserializer, Serialize};

use crate::capture::Capture;
use crate::record::{Kind, Outcome, Record};
use crate::statistics::MAX_NAME;
use crate::text::{beginning, plugin_of};

/// What a record occupies besides its texts.
const OVERHEAD: usize = size_of::<Record>() + 64;

/// Keeps the most recent records of an engine: an observer to attach with
/// [`Engine::observe`](connector_core::Engine::observe). Cheap to clone; clones share the records.
///
/// It is bounded in records and in bytes; the oldest give way. Their numbers ([`Record::seq`]) have no gaps, so a reader sees what it
/// has missed. Names are cut after 1,024 bytes.
///
/// ```
/// use connector_core::{Engine, Plugin};
/// use connector_inspect::{Capture, Filter, Recent};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let engine = Engine::new();
/// let recent = Recent::new(Capture::new().redact(["/0/password"]), 1000, 1 << 20);
/// let _observing = engine.observe(recent.clone());
///
/// let app = engine.register(Plugin::new("app"))?;
/// engine.manager().activate("app").await?;
/// app.call::<()>("missing", "x", ()).await.unwrap_err();
/// let failed = recent.history(u64::MAX, 10, &Filter { failed: true, ..Filter::default() });
/// assert_eq!(failed.records[0].to.as_deref(), Some("missing"));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Recent(Arc<Shared>);

struct Shared {
    capture: Capture,
    max_records: usize,
    max_bytes: usize,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// The number of the newest record.
    newest: u64,
}

/// Selects records; all of its members must match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Filter {
    /// Those whose plugin, caller, emitter or target it is, or a service of the target. `None` matches all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// Those of these kinds. `None` matches all.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "distinct")]
    pub kinds: Option<Vec<Kind>>,
    /// Only what failed: calls that ended otherwise than with a result, frames that cannot be read, links that went down,
    /// and messages with an error.
    pub failed: bool,
}

/// Records from [`Recent::history`] or [`Recent::after`].
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Page {
    /// In order.
    pub records: Vec<Arc<Record>>,
    /// The number of the oldest record that is still kept.
    pub first: u64,
    /// [`Recent::history`]: whether older records match.
    pub more: bool,
    /// [`Recent::after`]: the number of the last record looked at.
    pub last: u64,
    /// [`Recent::after`]: the number of records that were left out, matching or not.
    pub missed: u64,
}

/// A long list would cost time for each record.
fn distinct<'de, D: Deserializer<'de>>(json: D) -> Result<Option<Vec<Kind>>, D::Error> {
    let mut kinds = Option::<Vec<Kind>>::deserialize(json)?;
    let mut seen = HashSet::new();
    if let Some(kinds) = &mut kinds {
        kinds.retain(|kind| seen.insert(*kind));
    }
    Ok(kinds)
}

impl Recent {
    /// Keeps at most `max_records` (at least 1), which occupy at most about `max_bytes`.
    pub fn new(capture: Capture, max_records: usize, max_bytes: usize) -> Recent {
        Recent(Arc::new(Shared { capture, max_records: max_records.max(1), max_bytes, ring: Mutex::default() }))
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(feature = "server")]
    pub(crate) fn capture(&self) -> &Capture {
        &self.0.capture
    }

    fn push(&self, mut record: Record) {
        for name in [&mut record.plugin, &mut record.from, &mut record.to, &mut record.key].into_iter().flatten() {
            if name.len() > MAX_NAME {
                *name = format!("{}…", beginning(name, MAX_NAME)).into();
            }
        }
        let bytes = bytes(&record);
        let mut dropped = Vec::new();
        let mut ring = self.ring();
        ring.newest += 1;
        record.seq = ring.newest;
        ring.bytes += bytes;
        ring.records.push_back(Arc::new(record));
        while ring.records.len() > self.0.max_records || (ring.bytes > self.0.max_bytes && ring.records.len() > 1) {
            let Some(oldest) = ring.records.pop_front() else { break };
            ring.bytes -= self::bytes(&oldest);
            dropped.push(oldest);
        }
        drop(ring);
    }

    /// The number of the newest record; 0 if there were none.
    pub fn newest(&self) -> u64 {
        self.ring().newest
    }

    /// The last `limit` matching records with a number below `before`.
    pub fn history(&self, before: u64, limit: usize, filter: &Filter) -> Page {
        let (kept, first) = self.kept(0..before);
        let mut matching = kept.into_iter().rev().filter(|record| filter.matches(record));
        let mut records: Vec<_> = matching.by_ref().take(limit).collect();
        records.reverse();
        Page { more: matching.next().is_some(), records, first, ..Page::default() }
    }

    /// The matching records with a number above `seen`: of more than `limit`, the last ones.
    pub fn after(&self, seen: u64, limit: usize, filter: &Filter) -> Page {
        let (kept, first) = self.kept(seen.saturating_add(1)..u64::MAX);
        let last = kept.last().map_or(seen, |record| record.seq);
        let mut records = Vec::new();
        let mut from = seen + 1;
        for record in kept.iter().rev() {
            if filter.matches(record) {
                if records.len() == limit {
                    from = record.seq + 1;
                    break;
                }
                records.push(Arc::clone(record));
            }
            from = record.seq;
        }
        records.reverse();
        let missed = if kept.is_empty() { 0 } else { from.saturating_sub(seen + 1) };
        Page { records, first, last, missed, more: false }
    }

    /// The kept records with these numbers, copied so that the lock is short; and the number of the oldest one kept.
    fn kept(&self, numbers: Range<u64>) -> (Vec<Arc<Record>>, u64) {
        let ring = self.ring();
        let first = ring.newest + 1 - ring.records.len() as u64;
        let position = |number: u64| (number.clamp(first, ring.newest + 1) - first) as usize;
        let (from, to) = (position(numbers.start), position(numbers.end));
        (ring.records.range(from..to.max(from)).cloned().collect(), first)
    }
}

/// What a record occupies, approximately.
pub(crate) fn bytes(record: &Record) -> usize {
    let names = [&record.plugin, &record.from, &record.to, &record.key, &record.text];
    let names: usize = names.into_iter().flatten().map(|name| name.len()).sum();
    OVERHEAD + names + record.data.as_ref().map_or(0, |data| data.get().len())
}

impl Filter {
    /// Whether a record is selected.
    pub fn matches(&self, record: &Record) -> bool {
        let is_about = |plugin: &String| {
            let names = [&record.plugin, &record.from, &record.to];
            names.into_iter().flatten().any(|name| plugin_of(name) == plugin)
        };
        self.kinds.as_ref().is_none_or(|kinds| kinds.contains(&record.kind))
            && self.plugin.as_ref().is_none_or(is_about)
            && (!self.failed || has_failed(record))
    }
}

fn has_failed(record: &Record) -> bool {
    #[derive(Deserialize)]
    struct Response {
        error: Option<serde::de::IgnoredAny>,
    }
    match record.kind {
        Kind::CallEnded => record.outcome != Some(Outcome::Returned),
        Kind::BadFrame => true,
        Kind::Link => record.text.as_deref().is_some_and(|text| text.starts_with("down")),
        Kind::Message => {
            let response = record.data.as_ref().and_then(|data| serde_json::from_str::<Response>(data.get()).ok());
            response.is_some_and(|response| response.error.is_some())
        }
        _ => false,
    }
}

impl Observer for Recent {
    fn observe(&self, observation: &Observation<'_>) {
        if let Some(record) = self.0.capture.record(observation) {
            self.push(record);
        }
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ring = self.ring();
        let (records, bytes, newest) = (ring.records.len(), ring.bytes, ring.newest);
        f.debug_struct("Recent").field("records", &records).field("bytes", &bytes).field("newest", &newest).finish()
    }
}
