//! A plugin behind a websocket, for engines that know its token. Here both ends are in one program.
//!
//! `cargo run -p examples --example websocket` prints:
//!
//! ```text
//! without the token: URL answered with HTTP 401 Unauthorized: it requires a token: set it with WsConnectorConfig::token
//! with it: 20 + 22 = 42
//! the plugin stops: closed by this end
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{ActivateError, Engine, Plugin};
use tokio::sync::oneshot;
use transport_ws::{WsConnectorConfig, WsServerConfig};

const TOKEN: &str = "a-long-random-text";

fn adder() -> Plugin {
    Plugin::new("adder").method("add", |a: i64, b: i64| async move { a + b })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The plugin's program.
    let config = WsServerConfig::default().token(TOKEN);
    let (url, serving) = transport_ws::serve_with("127.0.0.1:0", adder, config).await?;
    let (stop, stopped) = oneshot::channel();
    let program = tokio::spawn(serving.until(stopped));

    // The host's program.
    let engine = Engine::new();
    engine.register(transport_ws::plugin("locked", &url))?;
    let config = WsConnectorConfig::default().token(TOKEN);
    engine.register(transport_ws::plugin_with("adder", &url, config))?;
    let app = engine.register(Plugin::new("app"))?;
    engine.manager().activate("app").await?;

    if let Err(ActivateError::Connect { error, .. }) = engine.manager().activate("locked").await {
        println!("without the token: {}", error.to_string().replace(&url, "URL"));
    }
    println!("with it: 20 + 22 = {}", app.call::<i64>("adder", "add", (20, 22)).await?);

    engine.shutdown().await;
    let _ = stop.send(()); // in a separate program: `tokio::signal::ctrl_c`
    println!("the plugin stops: {}", program.await?);
    Ok(())
}
