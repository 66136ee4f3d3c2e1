//! The engine's state as viewers see it, with the version in which each part changed, so that each viewer gets what it has
//! not seen, at its own pace.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

/// The members of a plugin, besides its name.
pub(super) const PARTS: [&str; 6] = ["location", "active", "profile", "link", "error", "statistics"];
/// Plugins, and edges, in a message.
const MAX_ROWS: usize = 500;
/// Bytes of a message, without its last plugin or edge.
const MAX_BYTES: usize = 256 << 10;
/// Removed plugins that are remembered. A viewer that has not seen an older one starts again.
const MAX_REMOVED: usize = 4096;

#[derive(Default)]
pub(super) struct Table {
    rows: Mutex<Rows>,
    /// The version that is complete.
    version: watch::Sender<u64>,
    /// Asks for a sample before the next is due.
    pub(super) refresh: Notify,
}

#[derive(Default)]
struct Rows {
    at: u64,
    plugins: BTreeMap<Arc<str>, [Part; PARTS.len()]>,
    edges: BTreeMap<Pair, Part>,
    /// With the version that removed them.
    removed: VecDeque<(u64, Arc<str>)>,
    /// Changes since this version are complete.
    complete_from: u64,
}

/// The members that changed: their index in [`PARTS`], and JSON.
pub(super) type Members = Vec<(usize, String)>;

/// A caller and the plugin called.
pub(super) type Pair = (Arc<str>, Arc<str>);

/// A JSON text, and the version in which it changed; 0 if it does not exist.
#[derive(Default)]
struct Part {
    json: Box<str>,
    version: u64,
}

/// What has changed since the last sample.
#[derive(Default)]
pub(super) struct Changes {
    pub(super) at: u64,
    pub(super) plugins: Vec<(Arc<str>, Members)>,
    pub(super) edges: Vec<(Pair, String)>,
    pub(super) removed: Vec<Arc<str>>,
}

/// What a viewer has seen.
#[derive(Default)]
pub(super) struct Cursor {
    seen: u64,
    pass: Option<Pass>,
}

/// A version on its way to a viewer.
struct Pass {
    version: u64,
    next: Position,
}

/// The last row that was sent.
enum Position {
    Plugin(Option<Arc<str>>),
    Edge(Option<Pair>),
}

impl Table {
    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notified of each new version.
    pub(super) fn versions(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(super) fn has_viewers(&self) -> bool {
        self.version.receiver_count() > 0
    }

    /// Applies changes a few at a time, so that viewers hold up no thread.
    pub(super) fn apply(&self, mut changes: Changes) {
        let version = *self.version.borrow() + 1;
        for some in changes.plugins.chunks_mut(MAX_ROWS) {
            let mut rows = self.rows();
            for (name, parts) in some {
                let row = rows.plugins.entry(Arc::clone(name)).or_default();
                for (part, json) in parts.drain(..) {
                    row[part] = Part { json: json.into(), version };
                }
            }
        }
        for some in changes.edges.chunks_mut(MAX_ROWS) {
            let mut rows = self.rows();
            for (pair, json) in some {
                rows.edges.insert(pair.clone(), Part { json: std::mem::take(json).into(), version });
            }
        }
        let mut rows = self.rows();
        rows.at = changes.at;
        for name in changes.removed {
            rows.plugins.remove(&name);
            rows.removed.push_back((version, name));
        }
        while rows.removed.len() > MAX_REMOVED {
            if let Some((version, _)) = rows.removed.pop_front() {
                rows.complete_from = version;
            }
        }
        drop(rows);
        self.version.send_replace(version);
    }

    /// The next message with what a viewer has not seen; `None` if it has seen everything.
    pub(super) fn next(&self, cursor: &mut Cursor) -> Option<String> {
        let version = *self.version.borrow();
        if cursor.pass.is_none() && cursor.seen == version {
            return None;
        }
        let rows = self.rows();
        let mut message = format!("{{\"type\":\"state\",\"at\":{}", rows.at);
        let pass = cursor.pass.get_or_insert_with(|| {
            // It has not seen all that was removed, or nothing yet.
            if cursor.seen == 0 || cursor.seen < rows.complete_from {
                cursor.seen = 0;
                message.push_str(",\"full\":true");
            } else {
                rows.write_removed(cursor.seen, &mut message);
            }
            Pass { version, next: Position::Plugin(None) }
        });
        let mut left = MAX_ROWS;
        if let Position::Plugin(after) = &pass.next {
            let last = rows.write_plugins(after.as_ref(), cursor.seen, &mut left, &mut message);
            pass.next = last.map_or(Position::Edge(None), |last| Position::Plugin(Some(last)));
        }
        let is_complete = match &pass.next {
            Position::Plugin(_) => false,
            Position::Edge(after) => match rows.write_edges(after.as_ref(), cursor.seen, &mut left, &mut message) {
                Some(last) => {
                    pass.next = Position::Edge(Some(last));
                    false
                }
                None => true,
            },
        };
        if is_complete {
            cursor.seen = pass.version;
            cursor.pass = None;
        } else {
            message.push_str(",\"more\":true");
        }
        message.push('}');
        Some(message)
    }
}

impl Rows {
    fn write_removed(&self, seen: u64, message: &mut String) {
        let removed = self.removed.iter().rev().take_while(|(version, _)| *version > seen);
        let names = removed.map(|(_, name)| name).filter(|name| !self.plugins.contains_key(*name));
        let names: Vec<&str> = names.map(|name| &**name).collect();
        if !names.is_empty() {
            write_member(message, "removed", &serde_json::to_string(&names).unwrap_or_default());
        }
    }

    /// Writes plugins that have changed, as long as there are any left to write. Returns the last one if there may be more.
    fn write_plugins(
        &self,
        after: Option<&Arc<str>>,
        seen: u64,
        left: &mut usize,
        out: &mut String,
    ) -> Option<Arc<str>> {
        let mut list = List::new("plugins");
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (name, parts) in self.plugins.range::<Arc<str>, _>((start, Bound::Unbounded)) {
            let changed = || parts.iter().zip(PARTS).filter(|(part, _)| part.version > seen);
            if changed().next().is_none() {
                continue;
            }
            list.item(out);
            let _ = write!(out, "{{\"name\":{}", quoted(name));
            changed().for_each(|(part, member)| write_member(out, member, &part.json));
            out.push('}');
            *left -= 1;
            if *left == 0 || out.len() >= MAX_BYTES {
                list.end(out);
                return Some(Arc::clone(name));
            }
        }
        list.end(out);
        None
    }

    /// As [`write_plugins`](Self::write_plugins).
    fn write_edges(&self, after: Option<&Pair>, seen: u64, left: &mut usize, out: &mut String) -> Option<Pair> {
        let mut list = List::new("edges");
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        for (pair, part) in
            self.edges.range::<Pair, _>((start, Bound::Unbounded)).filter(|(_, part)| part.version > seen)
        {
            list.item(out);
            out.push_str(&part.json);
            *left -= 1;
            if *left == 0 || out.len() >= MAX_BYTES {
                list.end(out);
                return Some(pair.clone());
            }
        }
        list.end(out);
        None
    }
}

/// A member that is an array, and is left out if it is empty.
struct List {
    member: &'static str,
    is_empty: bool,
}

impl List {
    fn new(member: &'static str) -> List {
        List { member, is_empty: true }
    }

    fn item(&mut self, out: &mut String) {
        if self.is_empty {
            let _ = write!(out, ",\"{}\":[", self.member);
        } else {
            out.push(',');
        }
        self.is_empty = false;
    }

    fn end(self, out: &mut String) {
        if !self.is_empty {
            out.push(']');
        }
    }
}

fn write_member(out: &mut String, member: &str, json: &str) {
    let _ = write!(out, ",\"{member}\":{json}");
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plugin(name: &str, active: bool) -> (Arc<str>, Members) {
        (name.into(), vec![(1, active.to_string())])
    }

    fn next(table: &Table, cursor: &mut Cursor) -> Option<Value> {
        table.next(cursor).map(|message| serde_json::from_str(&message).unwrap())
    }

    #[test]
    fn a_viewer_gets_everything_once_and_then_the_changes() {
        let (table, mut cursor) = (Table::default(), Cursor::default());
        assert!(table.next(&mut cursor).is_none());
        let edge = |rate: u32| (("a".into(), "b".into()), json!({ "rate": rate }).to_string());
        table.apply(Changes {
            at: 5,
            plugins: vec![plugin("a", true), plugin("b", true)],
            edges: vec![edge(1)],
            removed: vec![],
        });
        let all = json!({ "type": "state", "at": 5, "full": true, "edges": [{ "rate": 1 }],
            "plugins": [{ "name": "a", "active": true }, { "name": "b", "active": true }] });
        assert_eq!(next(&table, &mut cursor).unwrap(), all);
        assert!(table.next(&mut cursor).is_none());
        table.apply(Changes { at: 6, plugins: vec![plugin("b", false)], edges: vec![], removed: vec!["a".into()] });
        let change =
            json!({ "type": "state", "at": 6, "removed": ["a"], "plugins": [{ "name": "b", "active": false }] });
        assert_eq!(next(&table, &mut cursor).unwrap(), change);
        assert!(table.next(&mut cursor).is_none());
    }

    #[test]
    fn a_large_state_takes_several_messages_and_a_slow_viewer_gets_fewer() {
        let (table, mut cursor) = (Table::default(), Cursor::default());
        let plugins = || (0..1200).map(|number| plugin(&format!("p{number:04}"), true)).collect();
        table.apply(Changes { at: 1, plugins: plugins(), ..Changes::default() });
        let mut seen = Vec::new();
        for at in 2..20 {
            table.apply(Changes { at, plugins: plugins(), ..Changes::default() });
            let message = next(&table, &mut cursor).unwrap();
            assert_eq!(message["full"] == true, seen.is_empty());
            seen.extend(message["plugins"].as_array().unwrap().iter().map(|plugin| plugin["name"].clone()));
        }
        assert!((0..1200).all(|number| seen.contains(&json!(format!("p{number:04}")))));
        for _ in 0..6 {
            table.next(&mut cursor);
        }
        assert!(table.next(&mut cursor).is_none());
    }

    #[test]
    fn each_message_but_the_last_says_that_more_follow() {
        let (table, mut cursor) = (Table::default(), Cursor::default());
        let plugins = (0..1200).map(|number| plugin(&format!("p{number:04}"), true)).collect();
        table.apply(Changes { at: 1, plugins, ..Changes::default() });
        let more = std::iter::from_fn(|| table.next(&mut cursor)).map(|message| message.contains(",\"more\":true"));
        let more: Vec<_> = more.collect();
        assert!(more.len() > 1 && !more[more.len() - 1] && more[..more.len() - 1].iter().all(|more| *more), "{more:?}");
    }

    #[test]
    fn a_viewer_that_missed_a_removal_starts_again() {
        let (table, mut cursor) = (Table::default(), Cursor::default());
        table.apply(Changes { plugins: vec![plugin("a", true)], ..Changes::default() });
        table.next(&mut cursor).unwrap();
        let removed = |prefix: &str| (0..3000).map(|number| format!("{prefix}{number}").into()).collect();
        table.apply(Changes { removed: removed("x"), ..Changes::default() });
        table.apply(Changes { removed: removed("y"), ..Changes::default() });
        let message = next(&table, &mut cursor).unwrap();
        assert_eq!((&message["full"], &message["plugins"][0]["name"]), (&json!(true), &json!("a")));
    }
}
