//! Locks without poisoning.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks. Each holder leaves the guarded data consistent, so a panic while the lock was held is harmless.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
