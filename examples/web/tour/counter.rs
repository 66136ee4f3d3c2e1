//! The plugin in a worker: counts words. It has its own thread, so it may compute for a while.
#![cfg(all(target_family = "wasm", target_os = "unknown"))]

use std::time::Duration;

use connector_core::runtime::sleep;
use connector_core::{CallError, Context, Plugin};
use wasm_bindgen::prelude::wasm_bindgen;

async fn count(text: String) -> usize {
    text.split_whitespace().count()
}

/// Reads the text from the native program: a call from the worker through the page's engine to a websocket.
async fn count_stored(ctx: Context, name: String) -> Result<usize, CallError> {
    Ok(count(ctx.client().call("archive", "load", (name,)).await?).await)
}

async fn count_slowly(_text: String) -> usize {
    sleep(Duration::from_secs(3600)).await;
    0
}

async fn panic() {
    panic!("the page asked for it");
}

#[wasm_bindgen(start)]
fn start() -> Result<(), transport_web::NoEngine> {
    transport_web::serve(|| {
        Plugin::new("counter")
            .method("count", count)
            .method("countStored", count_stored)
            .method("countSlowly", count_slowly)
            .method("panic", panic)
    })
}
