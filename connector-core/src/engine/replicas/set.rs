//! The state of a plugin's replicas: which of them take calls, how many calls each has, which methods they list, and the
//! state of their links taken together. No I/O, no tasks, no locks, no clock.

use smallvec::SmallVec;

use super::choice::weight;
use crate::connector::{ConnectError, LinkEnd};
use crate::engine::link_state::LinkState;
use crate::plugin::CAN_DEACTIVATE;

/// The replicas of one plugin. `T` is what the owner knows of each.
#[derive(Debug)]
pub(super) struct Set<T> {
    // PERF: docs/performance.md, "Replicas": apart from the members, so that a choice among 1,000 reads 32 KB in a row.
    slots: Vec<Slot>,
    /// In the order of `slots`.
    members: Vec<T>,
    /// The different lists of methods; those that no replica has any more are empty.
    versions: Vec<Version>,
    /// Where the replica is that was chosen last.
    last: usize,
    link: LinkState,
    /// How the link ended that was lost last.
    loss: LinkEnd,
}

#[derive(Debug)]
struct Slot {
    id: u64,
    /// Of its name.
    hash: u64,
    in_flight: u32,
    version: u16,
    state: State,
    /// Its place was announced to drain, or to be gone: for good.
    retires: bool,
    is_gone: bool,
    /// Its plugin drains: until its link ends.
    drains: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Down,
    Up,
}

#[derive(Debug, Default)]
struct Version {
    /// As the replica listed them.
    methods: Vec<String>,
    sorted: Box<[String]>,
    replicas: usize,
}

/// A replica that a call was counted for. `hint` is where it probably is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Picked<T> {
    pub(super) id: u64,
    pub(super) hint: usize,
    pub(super) member: T,
}

/// Why no replica takes a call.
#[derive(Debug)]
pub(super) enum NoReplica {
    /// Those that are up drain.
    Draining,
    /// None is up, or none that lists the method.
    Down(LinkEnd),
}

impl Slot {
    fn takes_calls(&self) -> bool {
        self.state == State::Up && !self.retires && !self.drains
    }
}

impl Version {
    fn lists(&self, method: &str) -> bool {
        self.sorted.binary_search_by(|listed| listed.as_str().cmp(method)).is_ok()
    }
}

impl<T: Clone> Set<T> {
    pub(super) fn new() -> Self {
        let (slots, members, versions) = (Vec::new(), Vec::new(), Vec::new());
        Set { slots, members, versions, last: 0, link: LinkState::Inactive, loss: LinkEnd::Disconnected }
    }

    pub(super) fn members(&self) -> &[T] {
        &self.members
    }

    /// The state of the links taken together.
    pub(super) fn link(&self) -> &LinkState {
        &self.link
    }

    /// Adds a replica whose link is down, with the methods that it lists until a handshake says otherwise.
    pub(super) fn add(&mut self, id: u64, name_hash: u64, methods: Vec<String>, member: T) {
        let version = self.version(methods);
        let (hash, in_flight, state) = (name_hash, 0, State::Down);
        self.slots.push(Slot { id, hash, in_flight, version, state, retires: false, is_gone: false, drains: false });
        self.members.push(member);
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<T> {
        let at = self.find(id)?;
        let slot = self.slots.remove(at);
        self.leave_version(slot.version);
        if self.last > at {
            self.last -= 1;
        }
        if matches!(self.link, LinkState::Up) && !self.is_any_up() {
            self.link = LinkState::Down { why: no_replica(), tries: 0 };
        }
        Some(self.members.remove(at))
    }

    /// The plugin is activated: from here on links are made.
    pub(super) fn begin(&mut self) {
        self.link = LinkState::Connecting;
        self.loss = LinkEnd::Disconnected;
    }

    /// The plugin is inactive.
    pub(super) fn end(&mut self) {
        self.link = LinkState::Inactive;
    }

    /// The state of a replica's link has changed.
    pub(super) fn link_changed(&mut self, id: u64, state: &LinkState) {
        let Some(at) = self.find(id) else { return };
        self.slots[at].state = if state.is_up() { State::Up } else { State::Down };
        if let LinkState::Down { why, .. } = state {
            self.loss = why.clone();
        }
        if !state.is_up() {
            self.slots[at].drains = false;
        }
        let any_up = self.is_any_up();
        match (&mut self.link, state) {
            (LinkState::Inactive, _) => {}
            (link, _) if any_up => *link = LinkState::Up,
            (link @ LinkState::Up, LinkState::Down { why, .. }) => {
                *link = LinkState::Down { why: why.clone(), tries: 0 }
            }
            (link @ LinkState::Up, _) => *link = LinkState::Down { why: no_replica(), tries: 0 },
            (LinkState::Down { why, tries }, LinkState::Down { why: last, tries: 1.. }) => {
                *tries += 1;
                *why = last.clone();
            }
            _ => {}
        }
    }

    /// The plugin at the other end of a replica's link drains: it takes no calls until it has another link.
    pub(super) fn drains(&mut self, id: u64) {
        if let Some(at) = self.find(id) {
            self.slots[at].drains = true;
        }
    }

    /// A replica takes no calls any more. If it `is_gone`, it is removed when it has none left.
    pub(super) fn retire(&mut self, id: u64, is_gone: bool) {
        if let Some(at) = self.find(id) {
            self.slots[at].retires = true;
            self.slots[at].is_gone |= is_gone;
        }
    }

    /// Whether a replica was announced to be gone.
    pub(super) fn is_gone(&self, id: u64) -> bool {
        self.find(id).is_none_or(|at| self.slots[at].is_gone)
    }

    /// The number of a replica's calls, running and waiting.
    pub(super) fn in_flight(&self, id: u64) -> u32 {
        self.find(id).map_or(0, |at| self.slots[at].in_flight)
    }

    /// A replica's handshake lists these methods.
    pub(super) fn set_methods(&mut self, id: u64, methods: Vec<String>) {
        if let Some(at) = self.find(id) {
            let before = self.slots[at].version;
            self.slots[at].version = self.version(methods);
            self.leave_version(before);
        }
    }

    /// The methods that any replica lists.
    pub(super) fn methods(&self) -> Vec<String> {
        self.union(None)
    }

    /// The methods that any replica lists, if this one lists `methods`.
    pub(super) fn methods_with(&self, id: u64, methods: &[String]) -> Vec<String> {
        self.union(self.find(id).map(|at| (self.slots[at].version, methods)))
    }

    /// `changed`: a replica that has this version lists other methods instead.
    fn union(&self, changed: Option<(u16, &[String])>) -> Vec<String> {
        let remains = |at: usize, version: &&Version| {
            let leaves = changed.is_some_and(|(left, _)| usize::from(left) == at);
            version.replicas > usize::from(leaves)
        };
        let versions = self.versions.iter().enumerate().filter(|(at, version)| remains(*at, version));
        let mut lists = versions.map(|(_, version)| &*version.methods).chain(changed.map(|(_, methods)| methods));
        let mut union = lists.next().unwrap_or_default().to_vec();
        for methods in lists {
            let mut known: Vec<&str> = union.iter().map(String::as_str).collect();
            known.sort_unstable();
            let new = methods.iter().filter(|method| known.binary_search(&method.as_str()).is_err());
            let new: Vec<String> = new.cloned().collect();
            union.extend(new);
        }
        union
    }

    /// Chooses a replica for a call, and counts the call until it is [`released`](Set::release). Of those that take
    /// calls and list the method, calls with the same `key` go to the same one; without a key, the one with the fewest
    /// calls is next, and of several each in turn.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn pick(&mut self, method: &str, key: Option<u64>) -> Result<Picked<T>, NoReplica> {
        let mut lists: SmallVec<[bool; 8]> = self.versions.iter().map(|version| version.lists(method)).collect();
        // It may be called without being listed.
        if method == CAN_DEACTIVATE && !lists.contains(&true) {
            lists.fill(true);
        }
        let lists = |slot: &Slot| lists[usize::from(slot.version)];
        let takes = |slot: &Slot| slot.takes_calls() && lists(slot);
        let chosen = match key {
            Some(key) => {
                let candidates = self.slots.iter().enumerate().filter(|(_, slot)| takes(slot));
                candidates.max_by_key(|(_, slot)| weight(slot.hash, key)).map(|(at, _)| at)
            }
            None => self.least_busy(takes),
        };
        let Some(at) = chosen else {
            let is_up = self.slots.iter().any(|slot| slot.state == State::Up && lists(slot));
            return Err(if is_up { NoReplica::Draining } else { NoReplica::Down(self.why_down()) });
        };
        if key.is_none() {
            self.last = at;
        }
        self.slots[at].in_flight += 1;
        Ok(Picked { id: self.slots[at].id, hint: at, member: self.members[at].clone() })
    }

    fn least_busy(&self, takes: impl Fn(&Slot) -> bool) -> Option<usize> {
        let (first, mut least) = ((self.last + 1).min(self.slots.len()), None);
        for at in (first..self.slots.len()).chain(0..first) {
            let slot = &self.slots[at];
            if least.is_some_and(|(_, calls)| calls <= slot.in_flight) || !takes(slot) {
                continue;
            }
            if slot.in_flight == 0 {
                return Some(at);
            }
            least = Some((at, slot.in_flight));
        }
        least.map(|(at, _)| at)
    }

    /// A call has left its replica. Returns whether the replica is gone and has none left.
    pub(super) fn release(&mut self, id: u64, hint: usize) -> bool {
        let is_there = self.slots.get(hint).is_some_and(|slot| slot.id == id);
        let Some(at) = (if is_there { Some(hint) } else { self.find(id) }) else { return true };
        let slot = &mut self.slots[at];
        slot.in_flight -= 1;
        slot.in_flight == 0 && slot.is_gone
    }

    fn why_down(&self) -> LinkEnd {
        self.link.down().unwrap_or_else(|| self.loss.clone())
    }

    fn is_any_up(&self) -> bool {
        self.slots.iter().any(|slot| slot.state == State::Up)
    }

    fn find(&self, id: u64) -> Option<usize> {
        self.slots.iter().position(|slot| slot.id == id)
    }

    /// The version with these methods, counting another replica that has it. There are no more than replicas.
    fn version(&mut self, methods: Vec<String>) -> u16 {
        let same = self.versions.iter().position(|version| version.replicas > 0 && version.methods == methods);
        let at = same.or_else(|| self.versions.iter().position(|version| version.replicas == 0));
        let at = at.unwrap_or_else(|| {
            self.versions.push(Version::default());
            self.versions.len() - 1
        });
        let version = &mut self.versions[at];
        if version.replicas == 0 {
            let mut sorted = methods.clone().into_boxed_slice();
            sorted.sort_unstable();
            (version.methods, version.sorted) = (methods, sorted);
        }
        version.replicas += 1;
        at as u16
    }

    fn leave_version(&mut self, at: u16) {
        let version = &mut self.versions[usize::from(at)];
        version.replicas -= 1;
        if version.replicas == 0 {
            *version = Version::default();
        }
    }
}

fn no_replica() -> LinkEnd {
    LinkEnd::Unreachable(ConnectError::failed("its last replica is gone"))
}

#[cfg(test)]
mod tests;
