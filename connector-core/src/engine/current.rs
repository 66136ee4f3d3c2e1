//! Which plugin's code runs on this thread now, and for whom, so that what it asks of the engine directly, by a handle that
//! the host gave it, is known to be asked by the plugin.

use std::cell::Cell;

#[derive(Clone, Copy)]
struct Frame {
    plugin: u64,
    caller: u64,
    depth: u32,
}

thread_local! {
    static CURRENT: Cell<Frame> = const { Cell::new(Frame { plugin: 0, caller: 0, depth: 0 }) };
}

/// How deep plugins' code may be nested on one thread's stack: a call between plugins in this process runs within its
/// caller's.
pub(super) const MOST_DEPTH: u32 = 64;

/// Runs code of the plugin that has this number, called by the plugin of that number (0: by the engine).
pub(super) fn within<T>(plugin: u64, caller: u64, code: impl FnOnce() -> T) -> T {
    struct Restore(Frame);
    impl Drop for Restore {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let before = CURRENT.get();
    let _restore = Restore(before);
    CURRENT.set(Frame { plugin, caller, depth: before.depth + 1 });
    code()
}

/// The number of the plugin whose code runs; 0 if none does.
pub(super) fn plugin() -> u64 {
    CURRENT.get().plugin
}

/// The number of the plugin that has called the code that runs; 0 if none has.
pub(super) fn caller() -> u64 {
    CURRENT.get().caller
}

pub(super) fn is_too_deep() -> bool {
    CURRENT.get().depth >= MOST_DEPTH
}
