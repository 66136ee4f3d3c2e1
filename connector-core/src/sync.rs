//! Locks that a panic elsewhere does not poison for everyone.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks; what is guarded is left consistent by each holder, so a panic while it was held changes nothing.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
