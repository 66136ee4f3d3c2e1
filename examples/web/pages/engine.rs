//! An engine in a page, with a plugin in a frame (`frame.rs`) and one in a worker (`worker.rs`).
//!
//! `engine.html` shows:
//!
//! ```text
//! calculator, in a frame: 20 + 22 = 42
//! primes, in a worker: 9592 below 100000
//! error: cannot divide by zero
//! ```
#![cfg(all(target_family = "wasm", target_os = "unknown"))]

use std::future::pending;

use connector_core::{Engine, Plugin};
use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(start)]
async fn start() -> Result<(), JsError> {
    let engine = Engine::new();
    let page = engine.register(Plugin::new("page"))?;
    engine.register(transport_web::iframe("calculator", "frame.html"))?;
    engine.register(transport_web::worker("primes", "worker.js"))?;
    engine.manager().activate("page").await?;

    let sum: f64 = page.call("calculator", "add", (20, 22)).await?; // the first call makes the frame
    show(&format!("calculator, in a frame: 20 + 22 = {sum}"));
    let primes: u32 = page.call("primes", "below", (100_000,)).await?;
    show(&format!("primes, in a worker: {primes} below 100000"));
    if let Err(error) = page.call::<f64>("calculator", "divide", (1, 0)).await {
        show(&format!("error: {error}"));
    }
    pending().await // the frame and the worker end with the engine
}

/// Appends a line to the page.
fn show(line: &str) {
    if let Some(body) = web_sys::window().and_then(|window| window.document()).and_then(|document| document.body()) {
        let _ = body.append_with_str_1(&format!("{line}\n"));
    }
}
