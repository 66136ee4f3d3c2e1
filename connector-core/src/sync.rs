//! Types for data shared between threads. They are the standard library's; `tests/loom.rs` replaces them by loom's.

pub(crate) use std::sync::PoisonError;
pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
pub(crate) use std::sync::{Mutex, MutexGuard};

/// Locks. Each holder leaves the guarded data consistent, so a panic while the lock was held is harmless.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
