//! The items that wait in front of a link, and which of them are dropped when there are too many. No locks, no wakers.

use std::collections::VecDeque;
use std::mem;

use foldhash::{HashMap, HashMapExt};

use crate::memory_budget::Charge;

/// An item that can wait for a link.
pub(crate) trait Queued {
    /// The size in bytes. That of an unserialized value is determined only if it `waits`.
    fn weight(&self, waits: bool) -> usize;
    /// The emitter, if the item is an event. Events survive the loss of the link, and are dropped when there are too
    /// many; calls and responses do not, and are not.
    fn emitter(&self) -> Option<&str>;
}

#[derive(Debug)]
pub(crate) struct MessageQueue<C> {
    slots: VecDeque<Slot<C>>,
    /// Number of items ever pushed.
    pushed: u64,
    bytes: usize,
    /// The queued events, charged to the reader of the link. They may use half of its budget, so that a flood leaves
    /// room for the reader's own requests.
    events: Charge,
}

#[derive(Debug)]
struct Slot<C> {
    /// Counted from 1.
    position: u64,
    weight: usize,
    item: C,
}

/// What an event occupies in addition to its payload.
const EVENT_OVERHEAD: usize = 128;
/// The part of an emitter's events that is dropped at once, so that the search for them is rare.
const DROPPED_PART: usize = 64;

impl<C: Queued> MessageQueue<C> {
    /// Events may use up to half of the budget of `events`.
    pub(crate) fn new(events: Charge) -> Self {
        MessageQueue { slots: VecDeque::new(), pushed: 0, bytes: 0, events }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &C> {
        self.slots.iter().map(|slot| &slot.item)
    }

    /// The position before which everything is gone.
    pub(crate) fn passed(&self) -> u64 {
        self.slots.front().map_or(self.pushed, |slot| slot.position - 1)
    }

    /// The position of the last item.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// Adds an item. If the queue is full, drops the oldest events of the emitter that has the most, and returns them;
    /// if that is not enough, an event is dropped itself.
    ///
    /// # Errors
    /// The queue is full, and the item is not an event.
    pub(crate) fn push(&mut self, item: C, weight: usize, messages: usize, bytes: usize) -> Result<Vec<C>, Vec<C>> {
        let mut dropped = Vec::new();
        loop {
            let too_large = self.bytes.saturating_add(weight) > bytes && !self.slots.is_empty();
            let fits = self.slots.len() < messages && !too_large;
            if fits && (item.emitter().is_none() || self.charge_event(weight)) {
                break;
            }
            if !self.drop_oldest_events(self.slots.len() >= messages, &mut dropped) {
                dropped.push(item);
                return if dropped.last().is_some_and(|item| item.emitter().is_some()) {
                    Ok(dropped)
                } else {
                    Err(dropped)
                };
            }
        }
        self.pushed += 1;
        self.bytes = self.bytes.saturating_add(weight);
        self.slots.push_back(Slot { position: self.pushed, weight, item });
        Ok(dropped)
    }

    fn charge_event(&mut self, weight: usize) -> bool {
        let (used, bytes) = (self.events.bytes(), weight.saturating_add(EVENT_OVERHEAD));
        self.events.budget().check_half(used, bytes).is_ok() && self.events.resize(used.saturating_add(bytes)).is_ok()
    }

    pub(crate) fn pop(&mut self) -> Option<C> {
        let slot = self.slots.pop_front()?;
        self.bytes -= slot.weight;
        if slot.item.emitter().is_some() {
            self.release(slot.weight + EVENT_OVERHEAD);
        }
        Some(slot.item)
    }

    fn release(&mut self, bytes: usize) {
        let smaller = self.events.resize(self.events.bytes() - bytes);
        debug_assert!(smaller.is_ok(), "a charge can shrink");
    }

    /// Drops some of the oldest events of the emitter that has the most, by number or by bytes. Returns `false` if
    /// there are none.
    fn drop_oldest_events(&mut self, by_number: bool, dropped: &mut Vec<C>) -> bool {
        let mut emitters: HashMap<&str, (usize, usize)> = HashMap::new();
        for slot in &self.slots {
            if let Some(emitter) = slot.item.emitter() {
                let (number, bytes) = emitters.entry(emitter).or_default();
                (*number, *bytes) = (*number + 1, *bytes + slot.weight + EVENT_OVERHEAD);
            }
        }
        let measure = |(number, bytes): (usize, usize)| if by_number { number } else { bytes };
        let Some((emitter, (number, _))) = emitters.into_iter().max_by_key(|(_, share)| measure(*share)) else {
            return false;
        };
        let (emitter, mut excess) = (emitter.to_owned(), number.div_ceil(DROPPED_PART));
        self.remove(dropped, |item| {
            let drops = excess > 0 && item.emitter() == Some(&*emitter);
            excess -= usize::from(drops);
            drops
        });
        true
    }

    /// The link is down: removes everything that is not an event, and the oldest events beyond `capacity`.
    pub(crate) fn keep_events(&mut self, capacity: usize) -> Vec<C> {
        let mut surplus = self.iter().filter(|item| item.emitter().is_some()).count().saturating_sub(capacity);
        let mut removed = Vec::new();
        self.remove(&mut removed, |item| {
            let excess = item.emitter().is_some() && surplus > 0;
            surplus -= usize::from(excess);
            excess || item.emitter().is_none()
        });
        removed
    }

    /// Removes everything.
    pub(crate) fn clear(&mut self) -> Vec<C> {
        let mut removed = Vec::new();
        self.remove(&mut removed, |_| true);
        removed
    }

    fn remove(&mut self, removed: &mut Vec<C>, mut is: impl FnMut(&C) -> bool) {
        let slots = VecDeque::with_capacity(self.slots.len());
        for slot in mem::replace(&mut self.slots, slots) {
            if !is(&slot.item) {
                self.slots.push_back(slot);
                continue;
            }
            self.bytes -= slot.weight;
            if slot.item.emitter().is_some() {
                self.release(slot.weight + EVENT_OVERHEAD);
            }
            removed.push(slot.item);
        }
    }
}

#[cfg(all(test, not(loom_tests)))]
mod tests {
    use super::*;
    use crate::memory_budget::Budget;

    #[derive(Debug, PartialEq, Clone, Copy)]
    enum Item {
        Event(&'static str, usize),
        Call(usize),
    }

    use Item::{Call, Event};

    impl Queued for Item {
        fn weight(&self, _: bool) -> usize {
            match self {
                Event(_, weight) | Call(weight) => *weight,
            }
        }

        fn emitter(&self) -> Option<&str> {
            match self {
                Event(emitter, _) => Some(emitter),
                Call(_) => None,
            }
        }
    }

    struct Limited(MessageQueue<Item>, usize, usize);

    impl Limited {
        fn new(messages: usize, bytes: usize, budget: usize) -> Limited {
            Limited(MessageQueue::new(Budget::new(budget, None).empty()), messages, bytes)
        }

        fn push(&mut self, item: Item) -> Result<Vec<Item>, Vec<Item>> {
            self.0.push(item, item.weight(true), self.1, self.2)
        }

        fn items(&self) -> Vec<Item> {
            self.0.iter().copied().collect()
        }
    }

    #[test]
    fn the_oldest_events_of_the_largest_emitter_are_dropped() {
        let mut queue = Limited::new(5, 1000, 1 << 20);
        for event in [Event("calm", 1), Event("flood", 2), Event("flood", 3), Event("calm", 4), Event("flood", 5)] {
            assert_eq!(queue.push(event), Ok(vec![]));
        }
        assert_eq!(queue.push(Event("flood", 6)), Ok(vec![Event("flood", 2)]));
        assert_eq!(queue.push(Event("calm", 7)), Ok(vec![Event("flood", 3)]));
        assert_eq!(
            queue.items(),
            [Event("calm", 1), Event("calm", 4), Event("flood", 5), Event("flood", 6), Event("calm", 7)]
        );
    }

    #[test]
    fn a_call_displaces_events_but_no_call() {
        let mut queue = Limited::new(2, 1000, 1 << 20);
        queue.push(Event("e", 1)).unwrap();
        queue.push(Call(1)).unwrap();
        assert_eq!(queue.push(Call(2)), Ok(vec![Event("e", 1)]));
        assert_eq!(queue.push(Event("e", 2)), Ok(vec![Event("e", 2)]), "dropped itself");
        assert_eq!(queue.push(Call(3)), Err(vec![Call(3)]));
        assert_eq!(queue.items(), [Call(1), Call(2)]);
    }

    #[test]
    fn events_use_at_most_half_of_the_budget() {
        let budget = 10 * (1000 + EVENT_OVERHEAD);
        let mut queue = Limited::new(1000, usize::MAX, budget);
        let dropped: usize = (0..20).map(|_| queue.push(Event("e", 1000)).unwrap().len()).sum();
        assert_eq!((dropped, queue.0.len()), (15, 5));
        let huge = queue.push(Event("e", 10 * budget)).unwrap();
        assert_eq!((huge.len(), queue.0.len()), (5, 1), "one event of any size");
        while queue.0.pop().is_some() {}
        assert_eq!((queue.0.bytes(), queue.0.events.bytes()), (0, 0));
    }

    #[test]
    fn a_position_is_passed_once_everything_before_it_is_gone() {
        let mut queue = Limited::new(3, 1000, 1 << 20);
        for item in [Call(1), Event("e", 1), Event("e", 2)] {
            queue.push(item).unwrap();
        }
        assert_eq!((queue.0.pushed(), queue.0.passed()), (3, 0));
        queue.push(Event("e", 3)).unwrap();
        assert_eq!(queue.0.passed(), 0, "an event behind the call was dropped");
        queue.0.pop();
        assert_eq!(queue.0.passed(), 2);
        assert_eq!(queue.0.clear().len(), 2);
        assert_eq!(queue.0.passed(), 4);
    }
}
