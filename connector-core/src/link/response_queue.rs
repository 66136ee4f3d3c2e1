//! ResponseQueue that are ready, each behind what was queued before it.

use std::collections::VecDeque;

use super::{Outbox, Queued};

/// A handler's events are heard before its answer is: an answer goes out once everything that had been queued when it
/// was ready has gone.
pub(crate) struct ResponseQueue<A>(VecDeque<(u64, A)>);

impl<A> ResponseQueue<A> {
    pub(crate) fn new() -> Self {
        ResponseQueue(VecDeque::new())
    }

    pub(crate) fn push<C: Queued>(&mut self, outbox: &Outbox<C>, answer: A) {
        self.0.push_back((outbox.mark(), answer));
    }

    /// The next answer, if its turn has come.
    pub(crate) fn pop<C: Queued>(&mut self, outbox: &Outbox<C>) -> Option<A> {
        let (mark, _) = self.0.front()?;
        if outbox.has_passed(*mark) { self.0.pop_front().map(|(_, answer)| answer) } else { None }
    }

    /// The next answer, whatever is queued: for as long as nothing queued is sent.
    pub(crate) fn pop_any(&mut self) -> Option<A> {
        self.0.pop_front().map(|(_, answer)| answer)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
