//! The ids of calls.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::wire::Id;

/// Pairs a call with its response. Valid on one link only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CallId(i64);

impl CallId {
    /// The call that a response belongs to, if its id is a number.
    pub(super) fn of(response: Option<&Id>) -> Option<CallId> {
        response?.number().map(CallId)
    }
}

impl From<CallId> for Id {
    fn from(CallId(number): CallId) -> Id {
        number.into()
    }
}

/// Allocates the ids of calls, each once. A caller allocates its call's id before the session receives the call, so
/// that it can withdraw a call that is still queued.
#[derive(Debug)]
pub(crate) struct CallIds(AtomicI64);

impl CallIds {
    pub(crate) fn starting_at(first: i64) -> CallIds {
        CallIds(AtomicI64::new(first))
    }

    pub(crate) fn allocate(&self) -> CallId {
        CallId(self.0.fetch_add(1, Ordering::Relaxed))
    }
}
