//! Two engines lend each other a plugin.

use connector_core::{CallError, Context, Engine, Plugin, PluginOptions};
use transport_nats::NatsConfig;

use crate::support::{broker, config, within};

/// At the prefix of its own, so that only this borrower finds it.
async fn lend(plugin: &str, from: &Engine, to: &Engine, borrower: &str, config: NatsConfig) {
    let (lent, config) = (from.lend(plugin, borrower).unwrap(), config.prefix(format!("lent.{borrower}")));
    tokio::spawn(within(transport_nats::serve(move || lent.clone(), config.clone())).await.unwrap());
    let borrowed = transport_nats::plugin(plugin, config);
    to.register(borrowed.options(PluginOptions::default().engine_name(borrower))).unwrap();
}

/// Asks the other engine's ledger, which asks this store back while it is busy.
async fn sell(ctx: Context, apples: u32) -> Result<String, CallError> {
    let left: String = ctx.client().call("ledger", "left", ()).await?;
    Ok(format!("{apples} to {}, {left}", ctx.from()))
}

async fn left(ctx: Context) -> Result<String, CallError> {
    let price: u32 = ctx.client().call("store", "price", ()).await?;
    Ok(format!("at {price}, asked by {}", ctx.from()))
}

#[tokio::test]
async fn plugins_are_lent_crosswise_and_call_back() {
    let broker = broker();
    let (shop, office) = (Engine::new(), Engine::new());
    shop.register(Plugin::new("store").method("sell", sell).method("price", || async { 7 })).unwrap();
    office.register(Plugin::new("ledger").method("left", left)).unwrap();
    lend("store", &shop, &office, "office", config(&broker)).await;
    lend("ledger", &office, &shop, "shop", config(&broker)).await;
    let clerk = office.register(Plugin::new("clerk")).unwrap();
    within(office.manager().activate("clerk")).await.unwrap();
    for _ in 0..3 {
        let said = within(clerk.call::<String>("store", "sell", (3,))).await.unwrap();
        assert_eq!(said, "3 to office/clerk, at 7, asked by shop/store");
    }
    // A borrower of another name finds nothing at this prefix that it may use.
    let stranger = Engine::new();
    let other = transport_nats::plugin("store", config(&broker).prefix("lent.office"));
    stranger.register(other.options(PluginOptions::default().engine_name("stranger"))).unwrap();
    assert!(within(stranger.manager().activate("store")).await.is_err());
}
