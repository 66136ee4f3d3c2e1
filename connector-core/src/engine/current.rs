//! Tracks which plugin's code runs on this thread, and on whose behalf. Requests that a plugin makes through a handle
//! of the host are thereby attributed to the plugin.

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

/// Maximum nesting of plugin code on one thread's stack: a call between plugins in this process runs within its
/// caller's poll.
pub(super) const MAX_DEPTH: u32 = 64;

/// Runs `code` as plugin number `plugin`, called by plugin number `caller` (0: the engine).
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

/// The number of the plugin whose code runs; 0 if none.
pub(super) fn plugin() -> u64 {
    CURRENT.get().plugin
}

/// The number of the plugin that called the running code; 0 if none.
pub(super) fn caller() -> u64 {
    CURRENT.get().caller
}

pub(super) fn is_too_deep() -> bool {
    CURRENT.get().depth >= MAX_DEPTH
}
