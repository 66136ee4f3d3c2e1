//! A plugin behind socket.io. Here both ends are in one program.
//!
//! `cargo run -p examples --features socketio --example socketio` prints:
//!
//! ```text
//! 20 + 22 = 42
//! event: 42
//! the plugin stops: closed by this end
//! ```
//!
//! The engine's end builds against OpenSSL, see the workspace's README.
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{CallError, Context, Engine, Event, Plugin};
use tokio::sync::oneshot;

async fn add(ctx: Context, a: i64, b: i64) -> Result<i64, CallError> {
    ctx.client().emit("added", (a + b,)).await?;
    Ok(a + b)
}

fn adder() -> Plugin {
    Plugin::new("adder").method("add", add)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The plugin's program. A path of the URL would be the namespace.
    let (url, serving) = transport_socketio::serve("127.0.0.1:0", adder).await?;
    let (stop, stopped) = oneshot::channel();
    let program = tokio::spawn(serving.until(stopped));

    // The host's program.
    let engine = Engine::new();
    engine.register(transport_socketio::plugin("adder", &url))?;
    let app = engine.register(Plugin::new("app"))?;
    engine.manager().activate("app").await?;

    let mut sums = app.events::<(i64,)>("adder", "added", 8)?;
    println!("20 + 22 = {}", app.call::<i64>("adder", "add", (20, 22)).await?);
    if let Some(Event::Args((sum,))) = sums.recv().await {
        println!("event: {sum}");
    }

    engine.shutdown().await;
    let _ = stop.send(()); // in a separate program: `tokio::signal::ctrl_c`
    println!("the plugin stops: {}", program.await?);
    Ok(())
}
