//! The states that plugins' links have had.

use std::collections::{HashMap, VecDeque};

use connector_core::{Excerpt, LinkState};
use serde::{Deserialize, Serialize};

/// States kept for each link.
const MAX_STATES: usize = 32;
/// Links whose states are kept. Those of plugins that are registered later are not.
const MAX_LINKS: usize = 16_384;

/// A state that a link had, or has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct LinkEntry {
    /// The state.
    pub state: LinkStatus,
    /// When it began, in microseconds since the statistics did.
    pub since: u64,
    /// `Down`: the number of failed attempts to restore it.
    pub tries: u32,
    /// `Down`: how the link ended, or why the last attempt failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
}

/// The kinds of [`LinkState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum LinkStatus {
    /// The plugin is not active.
    Inactive,
    /// The first link since the activation is being made.
    Connecting,
    /// The link is up.
    Up,
    /// The link is down.
    Down,
}

impl LinkEntry {
    pub(crate) fn new(state: &LinkState, since: u64) -> LinkEntry {
        let (state, tries, text) = match state {
            LinkState::Inactive => (LinkStatus::Inactive, 0, None),
            LinkState::Connecting => (LinkStatus::Connecting, 0, None),
            LinkState::Up => (LinkStatus::Up, 0, None),
            LinkState::Down { why, tries } => (LinkStatus::Down, *tries, Some(Excerpt::new(why).to_string())),
            other => (LinkStatus::Down, 0, Some(Excerpt::new(other).to_string())),
        };
        LinkEntry { state, since, tries, text }
    }
}

#[derive(Default)]
pub(super) struct Links(HashMap<Box<str>, VecDeque<LinkEntry>>);

impl Links {
    pub(super) fn record(&mut self, plugin: &str, state: &LinkState, now: u64) {
        let is_known = self.0.contains_key(plugin);
        if !is_known && self.0.len() >= MAX_LINKS {
            return;
        }
        let history = self.0.entry(plugin.into()).or_default();
        let mut entry = LinkEntry::new(state, now);
        match history.back_mut() {
            // Another attempt has failed.
            Some(last) if last.state == entry.state => {
                entry.since = last.since;
                *last = entry;
            }
            _ => {
                if history.len() >= MAX_STATES {
                    history.pop_front();
                }
                history.push_back(entry);
            }
        }
    }

    pub(super) fn history(&self, plugin: &str) -> Vec<LinkEntry> {
        self.0.get(plugin).into_iter().flatten().cloned().collect()
    }

    /// The current state of each link.
    pub(super) fn current(&self) -> impl Iterator<Item = (&str, &LinkEntry)> {
        self.0.iter().filter_map(|(plugin, history)| Some((&**plugin, history.back()?)))
    }
}
