//! A plugin behind a local socket, to which several engines of the same user attach. Here all are in one program.
//!
//! `cargo run -p examples --example local_socket` prints:
//!
//! ```text
//! the first host: 1
//! the second host: 2
//! the first host leaves
//! the second host: 3
//! the plugin stops: closed by this end
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use connector_core::{Engine, Plugin, PluginClient};
use tokio::sync::oneshot;
use transport_ipc::local;

/// Clones of one plugin share its state, so all hosts see the same counter.
fn counter() -> Plugin {
    let count = Arc::new(AtomicU64::new(0));
    Plugin::new("counter").method("next", move || {
        let next = count.fetch_add(1, Ordering::Relaxed) + 1;
        async move { next }
    })
}

async fn host(socket: &str) -> Result<(Engine, PluginClient), Box<dyn Error>> {
    let engine = Engine::new();
    engine.register(local::plugin("counter", socket))?;
    let app = engine.register(Plugin::new("app"))?;
    engine.manager().activate("app").await?;
    Ok((engine, app))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = format!("counter-{}", process::id()); // usually just "counter"
    let (stop, stopped) = oneshot::channel();
    let plugin = counter();
    let (_url, serving) = local::serve(&name, move || plugin.clone())?;
    let program = tokio::spawn(serving.until(stopped));

    let ((first, first_app), (second, second_app)) = (host(&name).await?, host(&name).await?);
    println!("the first host: {}", first_app.call::<u64>("counter", "next", ()).await?);
    println!("the second host: {}", second_app.call::<u64>("counter", "next", ()).await?);
    first.shutdown().await;
    println!("the first host leaves");
    println!("the second host: {}", second_app.call::<u64>("counter", "next", ()).await?);
    second.shutdown().await;

    let _ = stop.send(()); // in a separate program: `tokio::signal::ctrl_c`
    println!("the plugin stops: {}", program.await?);
    Ok(())
}
