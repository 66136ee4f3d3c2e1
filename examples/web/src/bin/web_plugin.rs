//! The plugin `probe` for a frame or a worker: the page or the script that loads it decides which.
#![cfg_attr(not(all(target_family = "wasm", target_os = "unknown")), allow(unused))]

#[cfg(all(target_family = "wasm", target_os = "unknown"))]
fn main() -> Result<(), wasm_bindgen::JsValue> {
    // The pages that it is tested with are of another origin.
    let config = transport_web::ClientConfig::default().allow_any_origin();
    Ok(transport_web::serve_with(conformance::probe, config)?)
}

#[cfg(not(all(target_family = "wasm", target_os = "unknown")))]
fn main() {
    panic!("this program runs in a browser: build it for the target wasm32-unknown-unknown");
}
