//! Tasks, timers and locks for the suite.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) use connector_core::runtime::{Task, sleep, spawn};

/// Locks a mutex that a failed case may have poisoned.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
