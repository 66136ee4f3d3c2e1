//! One plugin that two programs serve, each behind a websocket. Here both, and the host, are in one program.
//!
//! `cargo run -p examples --example replicas` prints:
//!
//! ```text
//! four calls at once: one, one, two, two
//! one stops, and no call is lost: closed by this end
//! four calls at once: two, two, two, two
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;
use std::time::Duration;

use connector_core::{CallError, Engine, Plugin, PluginClient, PluginOptions, Replicas};
use futures_util::future::try_join_all;
use tokio::sync::oneshot;
use transport_ws::{WsConnector, WsConnectorConfig};

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
    let (one, serving) = transport_ws::serve("127.0.0.1:0", || worker("one")).await?;
    let (stop, stopped) = oneshot::channel::<()>();
    let program = tokio::spawn(serving.until(stopped));
    let (two, serving) = transport_ws::serve("127.0.0.1:0", || worker("two")).await?;
    tokio::spawn(serving);

    let there = || WsConnector::new(WsConnectorConfig::default());
    let replicas = Replicas::new("worker").replica("one", one, there()).replica("two", two, there());
    let engine = Engine::new();
    engine.register(replicas.options(PluginOptions::default().concurrency(2)))?; // of each
    let app = engine.register(Plugin::new("app"))?;
    engine.manager().activate("app").await?;
    // The plugin is active as soon as one of them answers. The other joins it.
    while !four_calls(&app).await?.contains("one, two") {}
    println!("four calls at once: {}", four_calls(&app).await?);
    let _ = stop.send(()); // in a separate program: a signal
    while !program.is_finished() {
        four_calls(&app).await?;
    }
    println!("one stops, and no call is lost: {}", program.await?);
    println!("four calls at once: {}", four_calls(&app).await?);
    engine.shutdown().await;
    Ok(())
}
