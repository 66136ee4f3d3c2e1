//! How many responses a link's task receives before their callers get a turn.

use crate::wire::{Action, Message};

/// The responses that a link's task has received in its current turn.
#[derive(Default)]
pub(super) struct ResponseBatch {
    received: usize,
    /// Consecutive turns cut short before the current one.
    cut_turns: usize,
}

impl ResponseBatch {
    // PERF: docs/performance.md, "a link's task received all responses": worker pipelined 0.31 → 0.47 of the floor.
    /// Responses received before their callers get a turn: what they do next keeps the peer busy, so that the two ends do
    /// not take turns being idle.
    const SIZE: usize = 32;
    /// Consecutive turns cut short this way before the link is treated as fully read.
    const MAX_CUT_TURNS: usize = 32;

    pub(super) fn count(&mut self, received: &Message) {
        self.received += usize::from(received.action == Action::Response);
    }

    /// Whether the callers get a turn before more is received.
    pub(super) fn is_full(&self) -> bool {
        self.received >= Self::SIZE
    }

    /// Begins the next batch. Returns whether the link may have more to read, because this turn was cut short.
    pub(super) fn end_turn(&mut self) -> bool {
        let unread = self.is_full() && self.cut_turns < Self::MAX_CUT_TURNS;
        *self = ResponseBatch { received: 0, cut_turns: if unread { self.cut_turns + 1 } else { 0 } };
        unread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(batch: &mut ResponseBatch) {
        for _ in 0..ResponseBatch::SIZE {
            assert!(!batch.is_full());
            batch.count(&Message::new(Action::Response));
        }
        assert!(batch.is_full());
    }

    #[test]
    fn a_full_batch_cuts_a_turn_short() {
        let mut batch = ResponseBatch::default();
        for _ in 0..2 * ResponseBatch::SIZE {
            batch.count(&Message::new(Action::Emit));
        }
        assert!(!batch.end_turn());
        fill(&mut batch);
        assert!(batch.end_turn());
        assert!(!batch.end_turn());
    }

    #[test]
    fn endless_responses_do_not_cut_every_turn_short() {
        let mut batch = ResponseBatch::default();
        for _ in 0..ResponseBatch::MAX_CUT_TURNS {
            fill(&mut batch);
            assert!(batch.end_turn());
        }
        fill(&mut batch);
        assert!(!batch.end_turn());
        fill(&mut batch);
        assert!(batch.end_turn());
    }
}
