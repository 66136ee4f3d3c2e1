//! The queue between an engine's observer and the thread that writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::record::{Kind, Record};

/// How long records are gathered before they are written, so that the writer is not woken for each.
const GATHER: Duration = Duration::from_millis(10);
/// What a record occupies in addition to its texts.
const OVERHEAD: usize = 256;

#[derive(Debug)]
pub(super) struct Queue {
    max_bytes: usize,
    is_open: AtomicBool,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    records: Vec<Record>,
    bytes: usize,
    /// The number of the last record.
    seq: u64,
    /// Left out since the last record.
    missed: u64,
    missed_in_all: u64,
}

impl State {
    fn number(&mut self, mut record: Record) {
        if let missed @ 1.. = std::mem::take(&mut self.missed) {
            let gap = Record {
                seq: self.seq + 1,
                at: record.at,
                kind: Kind::Missed,
                missed: Some(missed),
                ..Record::default()
            };
            self.records.push(gap);
            self.seq += 1 + missed;
            self.missed_in_all += missed;
        }
        if record.kind != Kind::Missed {
            self.seq += 1;
            record.seq = self.seq;
            self.records.push(record);
        }
    }
}

impl Queue {
    pub(super) fn new(max_bytes: usize) -> Queue {
        Queue { max_bytes, is_open: AtomicBool::new(true), state: Mutex::default(), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Relaxed)
    }

    /// Gives a record its number and appends it. Does not wait: a record that does not fit is counted as missed.
    pub(super) fn push(&self, record: Record) {
        let bytes = weight(&record);
        let mut state = self.state();
        if !self.is_open() {
            return;
        }
        let is_first = state.records.is_empty();
        if !is_first && state.bytes + bytes > self.max_bytes {
            state.missed += 1;
            return;
        }
        state.bytes += bytes;
        state.number(record);
        drop(state);
        if is_first {
            self.changed.notify_one();
        }
    }

    /// Waits for records, and moves them into `batch`, which must be empty. Returns whether more may follow.
    pub(super) fn take(&self, batch: &mut Vec<Record>) -> bool {
        let wait = |state, until: fn(&State) -> bool| {
            let waits = |state: &mut State| self.is_open() && !until(state);
            self.changed.wait_while(state, waits).unwrap_or_else(PoisonError::into_inner)
        };
        let state = wait(self.state(), |state| !state.records.is_empty());
        let gathered = self.changed.wait_timeout_while(state, GATHER, |_| self.is_open());
        let (mut state, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        let is_open = self.is_open();
        if !is_open && state.missed > 0 {
            let at = state.records.last().map_or(0, |record| record.at);
            state.number(Record { at, kind: Kind::Missed, ..Record::default() });
        }
        state.bytes = 0;
        std::mem::swap(&mut state.records, batch);
        is_open
    }

    /// Ends the queue: what it holds is still taken.
    pub(super) fn close(&self) {
        let _state = self.state();
        self.is_open.store(false, Ordering::Relaxed);
        self.changed.notify_one();
    }

    /// The numbers of records and of missed ones.
    pub(super) fn counts(&self) -> (u64, u64) {
        let state = self.state();
        (state.seq - state.missed_in_all, state.missed_in_all)
    }
}

fn weight(record: &Record) -> usize {
    let texts = [&record.plugin, &record.from, &record.to, &record.key, &record.text];
    let texts = texts.into_iter().flatten().map(|text| text.len());
    OVERHEAD + texts.sum::<usize>() + record.data.as_ref().map_or(0, |data| data.get().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(at: u64) -> Record {
        Record { at, ..Record::default() }
    }

    fn taken(queue: &Queue) -> Vec<(u64, u64, Option<u64>)> {
        let mut batch = Vec::new();
        queue.take(&mut batch);
        batch.iter().map(|record| (record.seq, record.at, record.missed)).collect()
    }

    #[test]
    fn records_without_room_are_counted_where_they_are_missing() {
        let queue = Queue::new(2 * OVERHEAD);
        (1..=5).for_each(|at| queue.push(record(at)));
        assert_eq!(taken(&queue), [(1, 1, None), (2, 2, None)]);
        queue.push(record(6));
        assert_eq!(taken(&queue), [(3, 6, Some(3)), (7, 6, None)]);
        (7..=9).for_each(|at| queue.push(record(at)));
        queue.close();
        assert_eq!(taken(&queue), [(8, 7, None), (9, 8, None), (10, 8, Some(1))]);
        assert_eq!(queue.counts().1, 4);
    }

    #[test]
    fn a_record_of_any_size_fits_into_an_empty_queue() {
        let queue = Queue::new(1);
        queue.push(record(1));
        queue.close();
        assert_eq!(taken(&queue), [(1, 1, None)]);
    }
}
