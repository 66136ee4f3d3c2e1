//! Two engines lend each other a plugin over websockets. Here both are in one program.
//!
//! `cargo run -p examples --example lending` prints:
//!
//! ```text
//! the shop sells 3 apples to office/clerk
//! office/clerk asks for 9: only 5 are left, says the office's ledger, asked by shop/store
//! office/intern: "office/intern" may not call "sell" of "store": the host's rule "clerks-buy" does not allow it
//! ```
#![allow(clippy::print_stdout, reason = "this program prints to the terminal")]

use std::error::Error;

use connector_core::{Access, CallError, Context, Engine, Plugin, PluginOptions};
use transport_ws::{WsConnectorConfig, WsServerConfig};

/// Asks the ledger of the other engine, which is a plugin like any other here.
async fn sell(ctx: Context, apples: u32) -> Result<String, CallError> {
    let left: u32 = ctx.client().call("ledger", "left", ()).await?;
    let by = ctx.from();
    Ok(match apples <= left {
        true => format!("the shop sells {apples} apples to {by}"),
        false => format!("{by} asks for {apples}: only {left} are left, says the office's ledger, asked by shop/store"),
    })
}

/// Lends a plugin of one engine to another, which has a token for it.
async fn lend(plugin: &str, from: &Engine, to: &Engine, borrower: &str) -> Result<(), Box<dyn Error>> {
    let lent = from.lend(plugin, borrower)?;
    let token = format!("a-long-random-text-for-{borrower}");
    let config = WsServerConfig::default().token(&token);
    let (url, serving) = transport_ws::serve_with("127.0.0.1:0", move || lent.clone(), config).await?;
    tokio::spawn(serving);
    let borrowed = transport_ws::plugin_with(plugin, &url, WsConnectorConfig::default().token(&token));
    to.register(borrowed.options(PluginOptions::default().engine_name(borrower)))?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let may = |access: &Access<'_>| !access.from.starts_with("office/") || access.from == "office/clerk";
    let (shop, office) = (Engine::builder().access_rule("clerks-buy", may).build(), Engine::new());
    shop.register(Plugin::new("store").method("sell", sell))?;
    office.register(Plugin::new("ledger").method("left", || async { 5 }))?;
    lend("store", &shop, &office, "office").await?;
    lend("ledger", &office, &shop, "shop").await?;

    for (name, apples) in [("clerk", 3), ("clerk", 9), ("intern", 1)] {
        let caller = office.register(Plugin::new(name))?;
        office.manager().activate(name).await?;
        let said = caller.call::<String>("store", "sell", (apples,)).await;
        println!("{}", said.unwrap_or_else(|error| format!("office/{name}: {error}")));
        office.remove(name).await;
    }
    Ok(())
}
