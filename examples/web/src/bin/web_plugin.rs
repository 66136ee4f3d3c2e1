//! The plugin `probe` for a frame, a worker or a message port: the page or the script that loads it decides which.

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
#[path = "../probe.rs"]
mod probe;

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn main() -> Result<(), wasm_bindgen::JsValue> {
    probe::serve()
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn main() {
    panic!("this program runs in a browser: build it for the target wasm32-unknown-unknown");
}
