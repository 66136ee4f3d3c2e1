//! An engine, a plugin and a call, all in one process.
//!
//! `cargo run -p examples --example hello` prints:
//!
//! ```text
//! hello, world
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{Engine, Plugin};

/// A method is an async function.
async fn greet(name: String) -> String {
    format!("hello, {name}")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new();
    engine.register(Plugin::new("greeter").method("greet", greet))?;
    // The host is a plugin, too: every call comes from a plugin.
    let app = engine.register(Plugin::new("app"))?;
    engine.manager().activate("app").await?;

    // The first call activates the greeter.
    let greeting: String = app.call("greeter", "greet", ("world",)).await?;
    println!("{greeting}");

    engine.shutdown().await;
    Ok(())
}
