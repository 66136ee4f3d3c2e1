//! Responses that are ready, ordered behind the messages queued before them.

use std::collections::VecDeque;

use super::{Outbox, Queued};

/// Ensures that the events a handler emitted arrive before its response: a response is sent once everything queued
/// before it is gone.
pub(crate) struct ResponseQueue<A>(VecDeque<(u64, A)>);

impl<A> ResponseQueue<A> {
    pub(crate) fn new() -> Self {
        ResponseQueue(VecDeque::new())
    }

    pub(crate) fn push<C: Queued>(&mut self, outbox: &Outbox<C>, response: A) {
        self.0.push_back((outbox.mark(), response));
    }

    /// The next response, if everything queued before it is gone.
    pub(crate) fn pop<C: Queued>(&mut self, outbox: &Outbox<C>) -> Option<A> {
        let (mark, _) = self.0.front()?;
        if outbox.has_passed(*mark) { self.0.pop_front().map(|(_, response)| response) } else { None }
    }

    /// The next response regardless of queued messages, for use while none of these are sent.
    pub(crate) fn pop_any(&mut self) -> Option<A> {
        self.0.pop_front().map(|(_, response)| response)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
