//! Budgets for the memory that the engine or a plugin holds for the peer of a link.

use std::fmt;
use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering};

/// What a link takes from the engine's budget at once, so that links rarely touch the counter they share.
const CHUNK: u64 = 64 << 10;
/// Room beyond the limit for refusals, as a fraction of it: a peer that has used up its budget gets errors.
const OVERDRAFT: u64 = 16;
/// How many of the largest messages of its transport a link's budget holds, at least.
const LARGEST_MESSAGES: u64 = 4;

/// The budget that all links of an engine share.
#[derive(Debug)]
pub(crate) struct SharedBudget {
    limit: u64,
    reserved: AtomicU64,
}

impl SharedBudget {
    pub(crate) fn new(limit: usize) -> Arc<SharedBudget> {
        Arc::new(SharedBudget { limit: limit as u64, reserved: AtomicU64::new(0) })
    }

    fn reserve(&self, bytes: u64) -> bool {
        let fits = self.reserved.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.limit;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    fn release(&self, bytes: u64) {
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The budget of one link: what its peer makes this end hold, in both directions. Each item is charged where it is
/// queued or stored, and released when its [`Charge`] is dropped. The transport's copies of messages in transit are set
/// aside instead, by [`fit`](Budget::fit).
#[derive(Debug)]
pub(crate) struct Budget {
    /// As configured.
    total: u64,
    /// The part for what is charged.
    limit: AtomicU64,
    used: AtomicU64,
    /// The part of the shared budget that this one has taken.
    reserved: AtomicU64,
    shared: Option<Arc<SharedBudget>>,
}

impl Budget {
    pub(crate) fn new(limit: usize, shared: Option<Arc<SharedBudget>>) -> Arc<Budget> {
        let (total, limit) = (limit as u64, AtomicU64::new(limit as u64));
        Arc::new(Budget { total, limit, used: AtomicU64::new(0), reserved: AtomicU64::new(0), shared })
    }

    /// Fits the budget to a new link, whose transport carries messages of at most this many bytes: raises it to
    /// [`LARGEST_MESSAGES`] of them, and sets one aside for each direction. The transport holds these copies itself: the
    /// frame that is being read, and the message that is being written.
    pub(crate) fn fit(&self, max_message: Option<usize>) {
        let largest = max_message.map_or(0, |bytes| bytes as u64);
        let total = self.total.max(largest.saturating_mul(LARGEST_MESSAGES));
        self.limit.store(total.saturating_sub(largest.saturating_mul(2)), Ordering::Relaxed);
    }

    /// Charges this many bytes. An unused budget admits an item of any size.
    ///
    /// # Errors
    /// The budget is used up.
    pub(crate) fn charge(self: &Arc<Budget>, bytes: usize) -> Result<Charge, OverBudget> {
        let mut charge = self.empty();
        charge.resize(bytes)?;
        Ok(charge)
    }

    /// A charge of nothing, to be resized.
    pub(crate) fn empty(self: &Arc<Budget>) -> Charge {
        Charge { budget: Arc::clone(self), bytes: 0 }
    }

    /// What may be charged in total.
    pub(crate) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Checks `bytes` more of a kind that already uses `used` bytes of the budget. One kind may use half, so that it
    /// leaves room for others, or be one item of any size.
    ///
    /// # Errors
    /// The half is used up.
    pub(crate) fn check_half(&self, used: usize, bytes: usize) -> Result<(), OverBudget> {
        let (used, bytes, limit) = (used as u64, bytes as u64, self.limit() / 2);
        match used == 0 || used.saturating_add(bytes) <= limit {
            true => Ok(()),
            false => Err(OverBudget { bytes, used, limit, shared: false }),
        }
    }

    /// An eighth of the limit.
    pub(crate) fn eighth(&self) -> usize {
        self.limit() as usize / 8
    }

    /// Whether at least a quarter is used: queued events may use up to half, and stay below it.
    pub(crate) fn is_quarter_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit() / 4
    }

    fn take(&self, bytes: u64, limit: u64) -> Result<(), OverBudget> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let used = before.saturating_add(bytes);
        let own = used <= limit || before == 0;
        if own && (used <= self.reserved.load(Ordering::Relaxed) || self.reserve(used)) {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        let limit = if own { self.shared.as_ref().map_or(limit, |shared| shared.limit) } else { limit };
        Err(OverBudget { bytes, used: before, limit, shared: own })
    }

    #[cold]
    fn reserve(&self, used: u64) -> bool {
        let Some(shared) = &self.shared else { return true };
        // Concurrent charges may reserve too much, which `release` returns.
        let missing = used.saturating_sub(self.reserved.load(Ordering::Relaxed)).next_multiple_of(CHUNK);
        let reserved = shared.reserve(missing);
        if reserved {
            self.reserved.fetch_add(missing, Ordering::Relaxed);
        }
        reserved
    }

    fn give_back(&self, bytes: u64) {
        let used = self.used.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        let reserved = self.reserved.load(Ordering::Relaxed);
        if reserved >= used.saturating_add(2 * CHUNK) {
            self.release(reserved, used);
        }
    }

    /// Returns what is reserved beyond one spare chunk. A concurrent charge may use part of it: the next charge then
    /// reserves it again.
    #[cold]
    fn release(&self, reserved: u64, used: u64) {
        let (Some(shared), kept) = (&self.shared, used.next_multiple_of(CHUNK) + CHUNK) else { return };
        if kept < reserved
            && self.reserved.compare_exchange(reserved, kept, Ordering::Relaxed, Ordering::Relaxed).is_ok()
        {
            shared.release(reserved - kept);
        }
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.release(self.reserved.load(Ordering::Relaxed));
        }
    }
}

/// Bytes of a budget, released on drop.
#[derive(Debug)]
#[must_use]
pub(crate) struct Charge {
    budget: Arc<Budget>,
    bytes: u64,
}

impl Charge {
    /// Changes the number of bytes. After an error it is unchanged.
    ///
    /// # Errors
    /// The budget is used up.
    pub(crate) fn resize(&mut self, bytes: usize) -> Result<(), OverBudget> {
        self.resize_within(bytes as u64, self.budget.limit())
    }

    /// Like [`resize`](Self::resize), for a refusal, which may exceed the limit slightly.
    ///
    /// # Errors
    /// The overdraft is used up as well.
    pub(crate) fn resize_for_refusal(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let limit = self.budget.limit();
        self.resize_within(bytes as u64, limit.saturating_add(limit / OVERDRAFT))
    }

    fn resize_within(&mut self, bytes: u64, limit: u64) -> Result<(), OverBudget> {
        if bytes > self.bytes {
            self.budget.take(bytes - self.bytes, limit)?;
        } else if bytes < self.bytes {
            self.budget.give_back(self.bytes - bytes);
        }
        self.bytes = bytes;
        Ok(())
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.budget
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.budget.give_back(self.bytes);
        }
    }
}

/// A budget is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OverBudget {
    bytes: u64,
    used: u64,
    limit: u64,
    /// Whether it is the engine's.
    shared: bool,
}

impl fmt::Display for OverBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OverBudget { bytes, used, limit, shared } = self;
        match shared {
            false => write!(f, "{used} of {limit} bytes are in use, and it needs {bytes} more"),
            true => write!(f, "all plugins together use the engine's {limit} bytes, and it needs {bytes} more"),
        }
    }
}

#[cfg(all(test, not(loom_tests)))]
mod tests {
    use super::*;

    #[test]
    fn charges_are_admitted_up_to_the_limit_and_released_on_drop() {
        let budget = Budget::new(100, None);
        let first = budget.charge(60).unwrap();
        let error = budget.charge(50).unwrap_err();
        assert_eq!(error.to_string(), "60 of 100 bytes are in use, and it needs 50 more");
        let mut second = budget.charge(40).unwrap();
        drop(first);
        second.resize(100).unwrap();
        second.resize(101).unwrap_err();
        assert_eq!(second.bytes(), 100);
        budget.empty().resize_for_refusal(6).unwrap();
        budget.empty().resize_for_refusal(7).unwrap_err();
        second.resize(0).unwrap();
        drop(budget.charge(1000).expect("an unused budget admits any size"));
    }

    #[test]
    fn a_budget_sets_aside_one_message_for_each_direction() {
        let budget = Budget::new(100, None);
        for (max_message, limit) in [(Some(10), 80), (Some(25), 50), (Some(100), 200), (Some(0), 100), (None, 100)] {
            budget.fit(max_message);
            let _used = budget.charge(1).unwrap();
            let rest = budget.charge(limit - 1).unwrap();
            let error = budget.charge(1).unwrap_err().to_string();
            assert_eq!(error, format!("{limit} of {limit} bytes are in use, and it needs 1 more"));
            drop(rest);
        }
    }

    #[test]
    fn one_kind_may_use_half() {
        let kind = Budget::new(100, None);
        kind.check_half(0, 90).expect("one item of any size");
        kind.check_half(40, 10).unwrap();
        let error = kind.check_half(50, 10).unwrap_err();
        assert_eq!(error.to_string(), "50 of 50 bytes are in use, and it needs 10 more");
    }

    #[test]
    fn links_share_the_engines_budget() {
        let shared = SharedBudget::new(10 * CHUNK as usize);
        let links: Vec<_> = (0..3).map(|_| Budget::new(100 * CHUNK as usize, Some(Arc::clone(&shared)))).collect();
        let first = links[0].charge(8 * CHUNK as usize).unwrap();
        let second = links[1].charge(1).unwrap();
        let error = links[2].charge(2 * CHUNK as usize).unwrap_err();
        assert!(error.to_string().starts_with("all plugins together use the engine's 655360 bytes"), "{error}");
        drop(first);
        let third = links[2].charge(2 * CHUNK as usize).unwrap();
        drop((second, third, links));
        assert_eq!(shared.reserved.load(Ordering::Relaxed), 0);
    }

    #[test]
    #[allow(clippy::disallowed_methods, reason = "tests concurrent use")]
    fn concurrent_charges_leave_nothing_behind() {
        let shared = SharedBudget::new(1 << 30);
        let budget = Budget::new(1 << 28, Some(Arc::clone(&shared)));
        std::thread::scope(|scope| {
            for thread in 1..5 {
                let budget = &budget;
                scope.spawn(move || {
                    for bytes in (0..2000).map(|n| n * 97 * thread) {
                        let mut charge = budget.charge(bytes).unwrap();
                        charge.resize(bytes / 2).unwrap();
                    }
                });
            }
        });
        assert_eq!(budget.used.load(Ordering::Relaxed), 0);
        drop(budget);
        assert_eq!(shared.reserved.load(Ordering::Relaxed), 0);
    }
}
