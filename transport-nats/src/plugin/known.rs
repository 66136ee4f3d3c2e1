//! **Pure**: the replicas of a plugin, from what they answer and announce.

use std::collections::{HashMap, VecDeque};

use crate::control::{Announcement, Replica};
use crate::subjects::check_replica;

/// Replicas of a plugin that are known at once. Others are ignored until one is gone.
const MAX: usize = 1024;
/// Discoveries that a replica may leave unanswered before it counts as gone.
const MAX_MISSED: u32 = 2;

/// A change of a plugin's replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReplicaChange {
    /// A replica is there.
    Found {
        /// Its id.
        replica: String,
        /// The `url` of this replica alone, for [`NatsConnector`](crate::NatsConnector).
        url: String,
    },
    /// A replica accepts no more sessions: it finishes its calls and stops.
    Draining {
        /// Its id.
        replica: String,
    },
    /// A replica has said that it is gone, or has not answered for a while.
    Gone {
        /// Its id.
        replica: String,
    },
}

#[derive(Debug, Default)]
pub(super) struct Known {
    replicas: HashMap<String, State>,
    pub(super) changes: VecDeque<ReplicaChange>,
}

#[derive(Debug)]
struct State {
    draining: bool,
    missed: u32,
}

impl Known {
    /// All replicas are asked again. Those that have not answered for long are gone. The `first` question over a connection
    /// is not another one that they leave unanswered: answers to the last one may have been lost with its connection.
    pub(super) fn asked(&mut self, first: bool) {
        let changes = &mut self.changes;
        self.replicas.retain(|replica, state| {
            state.missed = if first { state.missed.max(1) } else { state.missed + 1 };
            let stays = state.missed <= MAX_MISSED;
            if !stays {
                changes.push_back(ReplicaChange::Gone { replica: replica.clone() });
            }
            stays
        });
    }

    pub(super) fn answered(&mut self, answer: Replica, url: impl FnOnce(&str) -> String) {
        match (self.replicas.get_mut(&answer.id), answer.draining) {
            // It has come back meanwhile: it was asked after it had said that it drains.
            (Some(state), false) if state.draining && state.missed > 0 => self.found(answer.id, url),
            (Some(state), _) => {
                state.missed = 0;
                if answer.draining {
                    self.drains(answer.id);
                }
            }
            (None, false) => self.found(answer.id, url),
            (None, true) => {}
        }
    }

    pub(super) fn announced(&mut self, announcement: Announcement, url: impl FnOnce(&str) -> String) {
        match announcement {
            Announcement::Come { replica } => match self.replicas.get_mut(&replica) {
                Some(state) if !state.draining => state.missed = 0,
                _ => self.found(replica, url),
            },
            Announcement::Drain { replica } => self.drains(replica),
            Announcement::Gone { replica } => {
                if self.replicas.remove(&replica).is_some() {
                    self.changes.push_back(ReplicaChange::Gone { replica });
                }
            }
        }
    }

    fn found(&mut self, replica: String, url: impl FnOnce(&str) -> String) {
        let room = self.replicas.len() < MAX || self.replicas.contains_key(&replica);
        if room && check_replica(&replica).is_ok() {
            self.replicas.insert(replica.clone(), State { draining: false, missed: 0 });
            self.changes.push_back(ReplicaChange::Found { url: url(&replica), replica });
        }
    }

    fn drains(&mut self, replica: String) {
        if let Some(state) = self.replicas.get_mut(&replica)
            && !std::mem::replace(&mut state.draining, true)
        {
            state.missed = 0;
            self.changes.push_back(ReplicaChange::Draining { replica });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(id: &str, draining: bool) -> Replica {
        Replica { id: id.to_owned(), sessions: 0, draining }
    }

    fn changes(known: &mut Known) -> Vec<String> {
        let shown = |change| match change {
            ReplicaChange::Found { replica, url } => format!("+{replica} {url}"),
            ReplicaChange::Draining { replica } => format!("~{replica}"),
            ReplicaChange::Gone { replica } => format!("-{replica}"),
        };
        known.changes.drain(..).map(shown).collect()
    }

    fn url(id: &str) -> String {
        format!("u/{id}")
    }

    #[test]
    fn replicas_are_found_drain_and_go() {
        let mut known = Known::default();
        known.answered(replica("a", false), url);
        known.answered(replica("a", false), url);
        known.answered(replica("late", true), url);
        known.announced(Announcement::Come { replica: "b".to_owned() }, url);
        known.announced(Announcement::Come { replica: "b".to_owned() }, url);
        assert_eq!(changes(&mut known), ["+a u/a", "+b u/b"]);
        known.announced(Announcement::Drain { replica: "a".to_owned() }, url);
        known.answered(replica("a", true), url);
        known.announced(Announcement::Gone { replica: "a".to_owned() }, url);
        known.announced(Announcement::Gone { replica: "a".to_owned() }, url);
        assert_eq!(changes(&mut known), ["~a", "-a"]);
        // Started again with the same id before it was gone.
        known.answered(replica("b", true), url);
        known.announced(Announcement::Come { replica: "b".to_owned() }, url);
        assert_eq!(changes(&mut known), ["~b", "+b u/b"]);
    }

    #[test]
    fn a_replica_that_does_not_answer_is_gone() {
        let mut known = Known::default();
        known.answered(replica("a", false), url);
        known.answered(replica("b", false), url);
        for _ in 0..10 {
            known.asked(false);
            known.answered(replica("a", false), url);
        }
        assert_eq!(changes(&mut known), ["+a u/a", "+b u/b", "-b"]);
    }

    #[test]
    fn a_connection_that_is_lost_again_and_again_takes_no_replica_with_it() {
        let mut known = Known::default();
        known.answered(replica("a", false), url);
        (0..10).for_each(|_| known.asked(true));
        assert_eq!(changes(&mut known), ["+a u/a"]);
        (0..2).for_each(|_| known.asked(false));
        assert_eq!(changes(&mut known), ["-a"]);
    }

    #[test]
    fn those_that_are_gone_make_room() {
        let mut known = Known::default();
        (0..MAX).for_each(|id| known.answered(replica(&id.to_string(), false), url));
        changes(&mut known);
        // The first is restarted with another id, and announces it when there is no room.
        known.announced(Announcement::Come { replica: "again".to_owned() }, url);
        for _ in 0..=MAX_MISSED {
            known.asked(false);
            (1..MAX).for_each(|id| known.answered(replica(&id.to_string(), false), url));
            known.answered(replica("again", false), url);
        }
        assert_eq!(changes(&mut known), ["-0", "+again u/again"]);
    }

    #[test]
    fn foreign_texts_are_neither_believed_nor_kept() {
        let mut known = Known::default();
        for id in ["", "*", "a.b", &"x".repeat(65)] {
            known.answered(replica(id, false), url);
            known.announced(Announcement::Come { replica: id.to_owned() }, url);
        }
        assert!(changes(&mut known).is_empty());
        (0..2 * MAX).for_each(|id| known.answered(replica(&id.to_string(), false), url));
        assert_eq!(changes(&mut known).len(), MAX);
    }
}
