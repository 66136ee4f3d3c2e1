//! Large payloads: a plugin forwards a document without parsing or copying it.
//!
//! `cargo run -p examples --example big_payloads` prints:
//!
//! ```text
//! the document has 8000026 bytes
//! it came back with the same text, in the same memory: true
//! its version is 1.10
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{CallError, Context, Engine, Payload, Plugin};
use serde::Deserialize;

/// A [`Payload`] is unparsed JSON: it is forwarded unchanged, to any plugin over any transport.
async fn relay(ctx: Context, document: Payload) -> Result<Payload, CallError> {
    ctx.client().call("store", "put", (document,)).await
}

/// Only the requested types are parsed. Here that is one field, whose text stays as written.
#[derive(Deserialize)]
struct Head {
    version: Payload,
}

async fn version(document: Payload) -> Result<String, Box<dyn Error + Send + Sync>> {
    let head: Head = document.read()?;
    Ok(String::from_utf8(head.version.to_json()?.to_vec())?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new();
    engine.register(Plugin::new("relay").method("put", relay))?;
    let store = Plugin::new("store").method("put", |document: Payload| async { document }).method("version", version);
    engine.register(store)?;
    let app = engine.register(Plugin::new("app"))?;
    engine.manager().activate("app").await?;

    let document = Payload::from_json(format!(r#"{{"version":1.10,"text":"{}"}}"#, "x".repeat(8_000_000)))?;
    let text = document.to_json()?; // shares the document's memory, as `clone` does
    println!("the document has {} bytes", text.len());

    let back: Payload = app.call("relay", "put", (document.clone(),)).await?;
    let same = back.to_json()?.as_ptr() == text.as_ptr();
    println!("it came back with the same text, in the same memory: {same}");
    println!("its version is {}", app.call::<String>("store", "version", (document,)).await?);

    engine.shutdown().await;
    Ok(())
}
