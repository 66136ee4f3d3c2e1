//! Services: groups of methods under a plugin, called by path, declared up front or added while the plugin runs.
//!
//! `cargo run -p examples --example services` prints:
//!
//! ```text
//! files.list: ["notes.txt"]
//! files.cmd.git.status: clean, by way of files.cmd.git
//! files.trash.empty: 3 files
//! exposed: ["list", "status", "empty"]
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{Context, Engine, Plugin, Service};

async fn status(ctx: Context) -> String {
    format!("clean, by way of {}", ctx.path())
}

fn files() -> Plugin {
    let git = Service::new().method("status", status);
    Plugin::new("files")
        .method("list", || async { vec!["notes.txt"] })
        .service("cmd", Service::new().service("git", git))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new();
    let files = engine.register(files())?;
    let app = engine.register(Plugin::new("app"))?;
    for name in ["files", "app"] {
        engine.manager().activate(name).await?;
    }

    println!("files.list: {:?}", app.call::<Vec<String>>("files", "list", ()).await?);
    println!("files.cmd.git.status: {}", app.call::<String>("files.cmd.git", "status", ()).await?);

    // A plugin adds a service with its handle; in a method that is `ctx.client()`.
    files.create_service("trash", Service::new().method("empty", || async { 3 })).await?;
    println!("files.trash.empty: {} files", app.call::<u64>("files.trash", "empty", ()).await?);

    // The profile lists every method by its bare name, without its path.
    let methods = engine.manager().profile("files").and_then(|profile| profile.methods).unwrap_or_default();
    println!("exposed: {methods:?}");

    engine.shutdown().await;
    Ok(())
}
