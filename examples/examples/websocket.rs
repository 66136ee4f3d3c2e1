//! A plugin behind a websocket, for engines that know its token. Here both ends are in one program.
//!
//! `cargo run -p examples --example websocket` prints:
//!
//! ```text
//! without the token: URL answered with HTTP 401 Unauthorized: set its token with WsConnectorConfig::token
//! with it: 20 + 22 = 42
//! the plugin stops: closed by this end
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{ActivateError, ClientConfig, Engine, ExternalProfile, Plugin, Registration, serve};
use tokio::sync::oneshot;
use transport_ws::{WsConnector, WsConnectorConfig, WsServer, WsServerConfig};

const TOKEN: &str = "a-long-random-text";

fn adder() -> Plugin {
    Plugin::new("adder").method("add", |a: i64, b: i64| async move { a + b })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    // The plugin's program. Without a token `transport_ws::serve` does all this.
    let server = WsServer::bind("127.0.0.1:0", WsServerConfig::default().token(TOKEN)).await?;
    let url = server.url();
    let (stop, stopped) = oneshot::channel();
    let serving = serve(server, adder, ClientConfig::default());
    let program = tokio::spawn(serving.until(async { stopped.await.unwrap_or_default() }));

    // The host's program. Without a token `transport_ws::plugin` does the registration.
    let engine = Engine::new();
    engine.register(transport_ws::plugin("locked", &url))?;
    let connector = WsConnector::new(WsConnectorConfig::default().token(TOKEN));
    engine.register(Registration::behind(ExternalProfile::new("adder", &url), connector))?;
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
