//! Events: a listener for quick work, a typed stream for slow work, and events that are missed because it is too slow.
//!
//! `cargo run -p examples --example events` prints:
//!
//! ```text
//! listener: 1
//! listener: 2
//! stream: 2
//! stream: 3
//! stream: other arguments: argument 1: invalid type: string "four", expected u64
//! stream: 2 events did not fit
//! the stream has ended
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{Engine, Event, Plugin, Profile};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new();
    let clock = engine.register(Plugin::new(Profile::new("clock").with_events(["tick"])))?;
    let app = engine.register(Plugin::new("app"))?;
    for name in ["clock", "app"] {
        engine.manager().activate(name).await?;
    }

    // A listener runs in the task that receives the event, so it must be quick.
    app.on("clock", "tick", |count: u64| println!("listener: {count}"))?;
    clock.emit("tick", (1,)).await?;
    clock.emit("tick", (2,)).await?;
    app.off("clock", "tick")?;

    // This stream buffers up to 3 events. The engine stores the last event, so the stream begins with it.
    let mut ticks = app.events::<(u64,)>("clock", "tick", 3)?;
    clock.emit("tick", (3,)).await?;
    clock.emit("tick", ("four",)).await?;
    clock.emit("tick", (5,)).await?;
    clock.emit("tick", (6,)).await?;

    app.off("clock", "tick")?; // ends the stream, which still returns its buffered events
    while let Some(event) = ticks.recv().await {
        match event {
            Event::Args((count,)) => println!("stream: {count}"),
            Event::Unreadable(error) => println!("stream: other arguments: {error}"),
            Event::Missed(count) => println!("stream: {count} events did not fit"),
        }
    }
    println!("the stream has ended");

    engine.shutdown().await;
    Ok(())
}
