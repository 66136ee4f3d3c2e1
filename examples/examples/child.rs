//! A plugin in a child process, here this same program: it crashes, reports why, and is restarted.
//!
//! `cargo run -p examples --example child` prints:
//!
//! ```text
//! the plugin is in another process: true
//! it ended with exit code Some(3) and said ["out of paper"]
//! it was started again, as a new process: true
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program prints to the terminal")]

use std::{env, error::Error, process};

use connector_core::{Engine, LinkState, Plugin};
use tokio::runtime::Runtime;
use transport_ipc::{Channel, ChildEnd, Program};

async fn crash() {
    eprintln!("out of paper");
    process::exit(3);
}

fn printer() -> Plugin {
    Plugin::new("printer").method("pid", || async { process::id() }).method("crash", crash)
}

fn main() -> Result<(), Box<dyn Error>> {
    if env::args().nth(1).as_deref() == Some("plugin") {
        let channel = Channel::find()?; // before there is a runtime or a second thread
        Runtime::new()?.block_on(channel.serve(printer())); // until the host closes the channel
        return Ok(());
    }
    Runtime::new()?.block_on(host())
}

async fn host() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new();
    engine.register(transport_ipc::child("printer", Program::new(env::current_exe()?).arg("plugin")))?;
    let app = engine.register(Plugin::new("app"))?;
    engine.manager().activate("app").await?;

    let first: u32 = app.call("printer", "pid", ()).await?; // starts the program
    println!("the plugin is in another process: {}", first != process::id());

    let mut link = engine.link_state("printer").ok_or("it has no link")?;
    if let Err(error) = app.call::<()>("printer", "crash", ()).await
        && let Some(ChildEnd { status: Some(status), stderr, .. }) = ChildEnd::of(&error)
    {
        println!("it ended with exit code {:?} and said {stderr:?}", status.code());
    }
    link.wait_for(LinkState::is_up).await?;
    let second: u32 = app.call("printer", "pid", ()).await?;
    println!("it was started again, as a new process: {}", second != first);

    engine.shutdown().await; // ends the process and waits for it
    Ok(())
}
