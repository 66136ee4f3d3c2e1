//! Which plugin's code runs on this thread now, so that what it asks of the engine directly, by a handle that the host
//! gave it, is known to be asked by the plugin.

use std::cell::Cell;

thread_local! {
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

/// Runs code of the plugin that has this number.
pub(super) fn within<T>(number: u64, code: impl FnOnce() -> T) -> T {
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _restore = Restore(CURRENT.replace(number));
    code()
}

/// The number of the plugin whose code runs; 0 if none does.
pub(super) fn number() -> u64 {
    CURRENT.get()
}
