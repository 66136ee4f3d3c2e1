//! A call's context: the caller, calling back, and how cancelling a call cancels the calls it made.
//!
//! `cargo run -p examples --example context` prints:
//!
//! ```text
//! greeter.greet, called by app
//! hello, Ada
//! app gives up
//! sleeper: the call has ended
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;
use std::future::pending;

use connector_core::{CallError, Context, Engine, Plugin};
use tokio::sync::mpsc::{Sender, channel};

async fn greet(ctx: Context) -> Result<String, CallError> {
    println!("{}.{}, called by {}", ctx.path(), ctx.method(), ctx.from());
    // The caller runs one call at a time and waits for this one, but calling it back is allowed.
    let name: String = ctx.client().call(ctx.from(), "name", ()).await?;
    Ok(format!("hello, {name}"))
}

async fn relay(ctx: Context) -> Result<(), CallError> {
    ctx.client().call("sleeper", "sleep", ()).await
}

/// When its call ends, the method is dropped at its current `await`. `ended` is for tasks that it has spawned.
async fn sleep(ctx: Context, tell: Sender<&'static str>) {
    let tell_end = tell.clone();
    tokio::spawn(async move {
        ctx.ended().await;
        let _ = tell_end.send("the call has ended").await;
    });
    let _ = tell.send("asleep").await;
    pending().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new();
    let (tell, mut told) = channel(2);
    engine.register(Plugin::new("greeter").method("greet", greet).method("relay", relay))?;
    engine.register(Plugin::new("sleeper").method("sleep", move |ctx: Context| sleep(ctx, tell.clone())))?;
    let app = engine.register(Plugin::new("app").method("name", || async { "Ada" }))?;
    engine.manager().activate("app").await?;

    println!("{}", app.call::<String>("greeter", "greet", ()).await?);
    tokio::select! {
        outcome = app.call::<()>("greeter", "relay", ()) => outcome?,
        _asleep = told.recv() => println!("app gives up"), // drops its call, and with it the relay's call
    }
    println!("sleeper: {}", told.recv().await.unwrap_or("nothing"));

    engine.shutdown().await;
    Ok(())
}
