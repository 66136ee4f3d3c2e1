//! Where a plugin runs: in this process, behind a link, or at several places.

use std::sync::Arc;

use smallvec::{SmallVec, smallvec};
use tokio::sync::watch;

use super::entry::Entry;
use super::link_state::LinkState;
use super::remote::RemotePlugin;
use super::replicas::{Membership, ReplicaSet};
use crate::plugin::Instance;

/// Where a plugin runs.
pub(super) enum Location {
    Local(Arc<Instance>),
    Remote(Arc<RemotePlugin>),
    /// At several places. Each replica has its own entry, which is not in the registry and is `Remote`.
    Replicated(Arc<ReplicaSet>),
}

impl Entry {
    pub(crate) fn instance(&self) -> Option<Arc<Instance>> {
        match &self.location {
            Location::Local(instance) => Some(Arc::clone(instance)),
            Location::Remote(_) | Location::Replicated(_) => None,
        }
    }

    /// The link of a plugin that has exactly one, or of a replica.
    pub(super) fn remote(&self) -> Option<&Arc<RemotePlugin>> {
        match &self.location {
            Location::Local(_) | Location::Replicated(_) => None,
            Location::Remote(remote) => Some(remote),
        }
    }

    pub(super) fn replica_set(&self) -> Option<&Arc<ReplicaSet>> {
        match &self.location {
            Location::Local(_) | Location::Remote(_) => None,
            Location::Replicated(set) => Some(set),
        }
    }

    /// Set for a replica.
    pub(super) fn membership(&self) -> Option<&Membership> {
        self.remote()?.membership.as_deref()
    }

    /// Its replicas, if it has any.
    pub(super) fn replicas(&self) -> Vec<Arc<Entry>> {
        self.replica_set().map(|set| set.members()).unwrap_or_default()
    }

    /// The number of the plugin in whose name it acts, which for a replica is not its own.
    pub(super) fn acts_as(&self) -> u64 {
        self.membership().map_or(self.number, |membership| membership.plugin_number)
    }

    /// The plugin that a replica belongs to, or else the plugin itself.
    pub(super) fn plugin(self: &Arc<Self>) -> Arc<Entry> {
        let plugin = self.membership().and_then(|membership| membership.plugin.upgrade());
        plugin.unwrap_or_else(|| Arc::clone(self))
    }

    /// The state of its link, or of those of its replicas taken together.
    pub(super) fn link_state(&self) -> Option<&watch::Sender<LinkState>> {
        match &self.location {
            Location::Local(_) => None,
            Location::Remote(remote) => Some(&remote.state),
            Location::Replicated(set) => Some(&set.state),
        }
    }

    /// Its links: none, one, or those of its replicas.
    pub(super) fn links(&self) -> SmallVec<[Arc<RemotePlugin>; 1]> {
        match &self.location {
            Location::Local(_) => SmallVec::new(),
            Location::Remote(remote) => smallvec![Arc::clone(remote)],
            Location::Replicated(set) => set.members().iter().filter_map(|replica| replica.remote().cloned()).collect(),
        }
    }

    /// Ends its links at once, without notifying their other ends.
    pub(super) fn abort_links(&self) {
        if let Some(set) = self.replica_set() {
            set.end();
        }
        for link in self.links() {
            link.abort();
        }
        if let Some(set) = self.replica_set() {
            set.forget_found();
        }
    }

    /// Whether the tasks that keep its links up have ended; `false` if it has none.
    pub(super) fn has_no_task(&self) -> bool {
        match &self.location {
            Location::Local(_) => false,
            Location::Remote(remote) => remote.has_no_task(),
            Location::Replicated(set) => set.has_no_task(),
        }
    }

    /// Whether it is borrowed from another engine.
    pub(super) fn is_lent(&self) -> bool {
        self.remote().is_some_and(|remote| remote.is_lent())
    }
}
