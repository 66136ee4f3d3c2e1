//! Calls over a NATS server.
#![cfg(all(has_nats, feature = "client", feature = "plugin"))]

#[path = "common/broker.rs"]
mod broker;

use broker::Broker;
use connector_core::{Engine, Plugin};
use transport_nats::NatsConfig;

#[tokio::test]
async fn a_call_reaches_a_plugin() {
    let broker = Broker::start().unwrap();
    let config = NatsConfig::new(broker.url());
    let calculator = Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b });
    let serving = transport_nats::serve(move || calculator.clone(), config.clone()).await.unwrap();
    tokio::spawn(serving);
    let engine = Engine::new();
    let host = engine.register(Plugin::new("host")).unwrap();
    engine.register(transport_nats::plugin("calculator", config)).unwrap();
    engine.manager().activate("host").await.unwrap();
    assert_eq!(host.call::<i64>("calculator", "add", (1, 2)).await.unwrap(), 3);
}
