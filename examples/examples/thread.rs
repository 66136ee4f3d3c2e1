//! A plugin in its own thread, which it may block: the host and all other plugins continue.
//!
//! `cargo run -p examples --example thread` prints:
//!
//! ```text
//! greeter: hello
//! cruncher, in the thread "cruncher": 333283335000
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;
use std::time::Duration;

use connector_core::{Engine, Plugin};

/// Blocks its thread for a while, which a plugin on the engine's threads must not do.
async fn crunch(numbers: Vec<u64>) -> (String, u64) {
    std::thread::sleep(Duration::from_millis(300));
    let thread = std::thread::current().name().unwrap_or_default().to_owned();
    (thread, numbers.iter().map(|number| number * number).sum())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::new();
    // The function makes the plugin in the new thread, and again if the plugin is restarted.
    engine.register(transport_worker::worker("cruncher", || Plugin::new("cruncher").method("crunch", crunch)))?;
    engine.register(Plugin::new("greeter").method("greet", || async { "hello" }))?;
    let app = engine.register(Plugin::new("app"))?;
    for name in ["app", "cruncher"] {
        engine.manager().activate(name).await?;
    }

    // The numbers are moved to the thread, not serialized, because they have exactly the type that the method takes.
    let numbers: Vec<u64> = (0..10_000).collect();
    let crunching = app.call::<(String, u64)>("cruncher", "crunch", (numbers,));
    let greeting = async {
        let greeting = app.call::<String>("greeter", "greet", ()).await?;
        println!("greeter: {greeting}");
        Ok(())
    };
    let ((thread, sum), ()) = tokio::try_join!(crunching, greeting)?;
    println!("cruncher, in the thread {thread:?}: {sum}");

    engine.shutdown().await; // ends the thread and waits for it
    Ok(())
}
