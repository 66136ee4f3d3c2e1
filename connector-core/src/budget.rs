//! Budgets for the memory that the engine or a plugin holds for the peer of a link.

use std::fmt;
use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering};

/// What a link takes from the engine's budget at once, so that links rarely touch the counter they share.
const CHUNK: u64 = 64 << 10;
/// Room beyond the limit for refusals, as a fraction of it: a peer that has used up its budget gets errors.
const OVERDRAFT: u64 = 16;

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

/// The budget of one link: what its peer makes this end hold. Each item is charged where it is queued or stored, and
/// released when its [`Charge`] is dropped.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
    /// The part of the shared budget that this one has taken.
    reserved: AtomicU64,
    shared: Option<Arc<SharedBudget>>,
}

impl Budget {
    pub(crate) fn new(limit: usize, shared: Option<Arc<SharedBudget>>) -> Arc<Budget> {
        Arc::new(Budget { limit: limit as u64, used: AtomicU64::new(0), reserved: AtomicU64::new(0), shared })
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

    pub(crate) fn limit(&self) -> usize {
        self.limit as usize
    }

    /// Whether at least a quarter is used: queued events may use up to half, and stay below it.
    pub(crate) fn is_quarter_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit / 4
    }

    fn take(&self, bytes: u64, limit: u64) -> Result<(), OverBudget> {
        let before = self.used.fetch_add(bytes, Ordering::Relaxed);
        let used = before.saturating_add(bytes);
        let own = used <= limit || before == 0;
        if own && (used <= self.reserved.load(Ordering::Relaxed) || self.reserve(used)) {
            return Ok(());
        }
        self.used.fetch_sub(bytes, Ordering::Relaxed);
        let limit = if own { self.shared.as_ref().map_or(self.limit, |shared| shared.limit) } else { self.limit };
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
        self.resize_within(bytes as u64, self.budget.limit)
    }

    /// Like [`resize`](Self::resize), for a refusal, which may exceed the limit slightly.
    ///
    /// # Errors
    /// The overdraft is used up as well.
    pub(crate) fn resize_for_refusal(&mut self, bytes: usize) -> Result<(), OverBudget> {
        let limit = self.budget.limit;
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
