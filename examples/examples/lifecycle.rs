//! A plugin's lifecycle: registered, activated on demand, deactivated, activated by the host, and stopped with the engine.
//!
//! `cargo run -p examples --example lifecycle` prints:
//!
//! ```text
//! registered, active: false
//! journal opens
//! journal writes "one"
//! after the first call, active: true
//! journal closes
//! after its deactivation, active: false
//! journal opens
//! journal notes that app said "goodbye"
//! journal closes
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{Engine, Plugin, PluginClient};

/// Runs at each activation, before the first call arrives. Subscribe to events here: subscriptions end with the plugin's
/// deactivation.
async fn open(journal: PluginClient) {
    println!("journal opens");
    if let Err(error) = journal.on("app", "said", |what: String| println!("journal notes that app said {what:?}")) {
        println!("journal cannot listen: {error}");
    }
}

fn journal() -> Plugin {
    Plugin::new("journal")
        .method("write", |line: String| async move { println!("journal writes {line:?}") })
        .on_activation(open)
        .on_deactivation(|_journal| async { println!("journal closes") })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new();
    let manager = engine.manager();
    let app = engine.register(Plugin::new("app"))?;
    manager.activate("app").await?;
    engine.register(journal())?;
    println!("registered, active: {}", manager.is_active("journal"));

    app.call::<()>("journal", "write", ("one",)).await?;
    println!("after the first call, active: {}", manager.is_active("journal"));
    manager.deactivate("journal").await?;
    println!("after its deactivation, active: {}", manager.is_active("journal"));
    manager.activate("journal").await?;
    app.emit("said", ("goodbye",)).await?;

    engine.shutdown().await; // deactivates every plugin; an engine that is only dropped runs no hooks
    Ok(())
}
