//! A plugin that two programs serve behind a NATS server, where the host finds them by the plugin's name. Here both, and the
//! host, are in one program. The server has to run: at 127.0.0.1:4222, or where the variable `NATS_URL` says.
//!
//! `cargo run -p examples --features nats --example nats` prints:
//!
//! ```text
//! four calls at once: one, one, one, one
//! another joins: one, one, two, two
//! the first stops, and no call is lost: closed by this end
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;
use std::time::Duration;

use connector_core::{CallError, Engine, Plugin, PluginClient, PluginOptions};
use futures_util::future::try_join_all;
use tokio::sync::oneshot;
use transport_nats::NatsConfig;

/// Each program serves the plugin as if it were the only one.
fn worker(id: &'static str) -> Plugin {
    Plugin::new("worker").method("work", move || async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        id
    })
}

async fn four_calls(app: &PluginClient) -> Result<String, CallError> {
    let mut ids = try_join_all((0..4).map(|_| app.call::<String>("worker", "work", ()))).await?;
    ids.sort();
    Ok(ids.join(", "))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = NatsConfig::new(std::env::var("NATS_URL").unwrap_or("nats://127.0.0.1:4222".to_owned()));
    // Ids that programs keep when they are started again. No two that run may have the same one.
    let serving = transport_nats::serve(|| worker("one"), server.clone().replica("one")).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let program = tokio::spawn(serving.until(stopped));

    let engine = Engine::new();
    let replicas = transport_nats::replicas("worker", server.clone())?;
    engine.register(replicas.options(PluginOptions::default().concurrency(2)))?; // of each
    let app = engine.register(Plugin::new("app"))?;
    engine.manager().activate("app").await?;
    println!("four calls at once: {}", four_calls(&app).await?);
    tokio::spawn(transport_nats::serve(|| worker("two"), server.replica("two")).await?);
    while !four_calls(&app).await?.contains("two, two") {}
    println!("another joins: {}", four_calls(&app).await?);
    let _ = stop.send(()); // in a separate program: a signal
    while !program.is_finished() {
        four_calls(&app).await?;
    }
    println!("the first stops, and no call is lost: {}", program.await?);
    engine.shutdown().await;
    Ok(())
}
