//! Messages of every size.

use conformance::links::{exchange_texts, link_to};
use connector_core::PluginConnector;
use transport_nats::{NatsConnector, NatsServer};

use crate::support::{Replica, broker, broker_with, config, engine, within};

#[tokio::test]
async fn ten_mebibytes_are_echoed_and_more_than_the_limit_is_refused_by_name() {
    let broker = broker();
    let _replica = Replica::start(config(&broker)).await;
    let (_engine, local) = engine(config(&broker)).await;
    let text = "ten mebibytes ".repeat((10 << 20) / 14);
    let back: String = within(local.call("probe", "echo", (text.clone(),))).await.unwrap();
    assert!(back == text);
    let error = within(local.call::<String>("probe", "echo", ("x".repeat(17 << 20),))).await.unwrap_err().to_string();
    assert!(error.contains("NatsConfig::max_message"), "{error}");
    let back: String = within(local.call("probe", "echo", ("still up",))).await.unwrap();
    assert_eq!(back, "still up");
}

#[tokio::test]
async fn the_smaller_limit_of_the_two_ends_counts() {
    let broker = broker();
    let _replica = Replica::start(config(&broker).max_message(100_000)).await;
    let (_engine, local) = engine(config(&broker)).await;
    let error = within(local.call::<String>("probe", "echo", ("x".repeat(200_000),))).await.unwrap_err().to_string();
    assert!(error.contains("exceeds the limit of 100000") && error.contains("NatsConfig::max_message"), "{error}");
    let back: String = within(local.call("probe", "echo", ("x".repeat(90_000),))).await.unwrap();
    assert_eq!(back.len(), 90_000);
}

#[tokio::test]
async fn a_servers_small_max_payload_is_kept() {
    let (broker, _directory) = broker_with("max_payload: 1024");
    let mut server = NatsServer::bind("probe", config(&broker)).await.unwrap();
    let url = server.url();
    let mut connector = NatsConnector::new(config(&broker));
    let (mut plugin, mut engine) = link_to(&mut server, &mut connector, &url).await;
    exchange_texts(&mut plugin, &mut engine).await;
}

#[tokio::test]
async fn a_max_payload_with_which_nothing_works_is_an_error() {
    let (broker, _directory) = broker_with("max_payload: 512");
    let mut server = NatsServer::bind("probe", config(&broker)).await.unwrap();
    let url = server.url();
    let mut connector = NatsConnector::new(config(&broker));
    let error = tokio::select! {
        _ = connector_core::ClientConnector::accept(&mut server) => panic!("a session was opened"),
        connected = connector.connect(&url) => connected.err().unwrap().to_string(),
    };
    assert!(error.contains("max_payload is 512"), "{error}");
}
