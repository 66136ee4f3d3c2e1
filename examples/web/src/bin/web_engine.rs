//! An engine for a page, driven from JavaScript: `examples/js/web` runs scripts and cases with it.
//!
//! Besides the manager it has the plugins `local`, which calls on behalf of the page, `host`, which shows frames, and
//! `theme`, as a host of published plugins has.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
#[path = "../page.rs"]
mod page;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn main() {}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn main() {
    panic!("this program runs in a browser: build it for the target wasm32-unknown-unknown");
}
