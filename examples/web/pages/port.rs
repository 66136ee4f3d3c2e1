//! A plugin behind a message port. Here it is in the engine's own page; a port can also be sent to another window or worker.
//!
//! `port.html` shows:
//!
//! ```text
//! behind a message port: hello Ada
//! ```
#![cfg(all(target_family = "wasm", target_os = "unknown"))]

use std::future::pending;

use connector_core::{Engine, Plugin};
use transport_web::ClientConfig;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsError, JsValue};
use web_sys::{MessageChannel, MessagePort};

fn greeter() -> Plugin {
    Plugin::new("greeter").method("greet", |name: String| async move { format!("hello {name}") })
}

/// The engine's port of a new channel, with the plugin at the other. A channel carries one link.
fn open() -> Result<MessagePort, JsValue> {
    let channel = MessageChannel::new()?;
    transport_web::serve_port(channel.port2(), greeter, ClientConfig::default());
    Ok(channel.port1())
}

#[wasm_bindgen(start)]
async fn start() -> Result<(), JsError> {
    let engine = Engine::new();
    let page = engine.register(Plugin::new("page"))?;
    engine.register(transport_web::port("greeter", open))?;
    engine.manager().activate("page").await?;

    let greeting: String = page.call("greeter", "greet", ("Ada",)).await?;
    if let Some(body) = web_sys::window().and_then(|window| window.document()).and_then(|document| document.body()) {
        let _ = body.append_with_str_1(&format!("behind a message port: {greeting}\n"));
    }
    pending().await // the link ends with the engine
}
