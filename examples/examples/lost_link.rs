//! A lost link: the engine reconnects, and the host's subscriptions stay. The same on every transport.
//!
//! `cargo run -p examples --example lost_link` prints:
//!
//! ```text
//! the link is up
//! the link is down
//! a call meanwhile fails at once: true
//! the link is up
//! event: notes.txt
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::{error::Error, process};

use connector_core::{CallError, Context, Engine, Event, LinkState, Plugin};
use transport_ipc::local;

async fn save(ctx: Context, name: String) -> Result<(), CallError> {
    ctx.client().emit("saved", (name,)).await
}

fn editor() -> Plugin {
    Plugin::new("editor").method("save", save)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = format!("editor-{}", process::id()); // usually just "editor"
    let (_url, serving) = local::serve(&name, editor)?;
    let program = tokio::spawn(serving);

    let engine = Engine::new();
    let app = engine.register(Plugin::new("app"))?;
    engine.register(local::plugin("editor", &name))?;
    for plugin in ["app", "editor"] {
        engine.manager().activate(plugin).await?;
    }
    let mut saved = app.events::<(String,)>("editor", "saved", 8)?;
    let mut link = engine.link_state("editor").ok_or("it has no link")?;
    println!("the link is {}", *link.borrow());

    program.abort(); // the plugin's program ends, and with it the link
    let _ = program.await;
    link.wait_for(|state| !state.is_up()).await?; // the state also contains the reason
    println!("the link is down");
    let outcome = app.call::<()>("editor", "save", ("notes.txt",)).await;
    println!("a call meanwhile fails at once: {}", matches!(outcome, Err(CallError::LinkLost(_))));

    let (_url, serving) = local::serve(&name, editor)?; // it runs again
    tokio::spawn(serving);
    println!("the link is {}", *link.wait_for(LinkState::is_up).await?);
    app.call::<()>("editor", "save", ("notes.txt",)).await?;
    if let Some(Event::Args((name,))) = saved.recv().await {
        println!("event: {name}");
    }
    engine.shutdown().await;
    Ok(())
}
