//! Messages of every size.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use conformance::links::{exchange_texts, link_to};
use connector_core::{Context, Event, Plugin, PluginConnector, Rest};
use futures_util::{FutureExt, StreamExt};
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

/// Whatever is too large, and in whichever direction, the session goes on.
#[tokio::test]
async fn results_and_events_over_the_limit_cost_only_themselves() {
    let broker = broker();
    let big = |length: usize| async move { "x".repeat(length) };
    let ring = |ctx: Context, length: usize| async move {
        ctx.client().emit("rang", (length, "x".repeat(length))).await.map_err(|error| error.to_string())
    };
    let heard = Arc::<Mutex<Vec<usize>>>::default();
    let hears = Arc::clone(&heard);
    let listen = move |ctx: Context| {
        let hears = Arc::clone(&hears);
        let listener = move |length: usize, _: String| hears.lock().unwrap().push(length);
        async move { ctx.client().on("local", "tick", listener).map(|()| true) }
    };
    let plugin = Plugin::new("probe").method("big", big).method("ring", ring).method("listen", listen);
    let _replica = Replica::serve(move || plugin.clone(), config(&broker).max_message(100_000)).await;
    let (engine, local) = engine(config(&broker)).await;
    let mut down = local.events::<Rest>("manager", "linkDown", 8).unwrap();
    let mut rung = local.events::<(usize, String)>("probe", "rang", 8).unwrap();
    assert!(within(local.call::<bool>("probe", "listen", ())).await.unwrap());
    for _ in 0..3 {
        let error = within(local.call::<String>("probe", "big", (200_000,))).await.unwrap_err().to_string();
        assert!(error.contains("limit of 100000") && error.contains("NatsConfig::max_message"), "{error}");
        assert_eq!(within(local.call::<String>("probe", "big", (90_000,))).await.unwrap().len(), 90_000);
        // Nobody waits for an event, so nobody is told of one that is too large.
        let _ = within(local.call::<()>("probe", "ring", (200_000,))).await;
        within(local.call::<()>("probe", "ring", (90_000,))).await.unwrap();
        let Some(Event::Args((length, _))) = within(rung.recv()).await else { panic!("an event is missing") };
        assert_eq!(length, 90_000);
        local.emit("tick", (200_000, "x".repeat(200_000))).await.unwrap();
        local.emit("tick", (90_000, "x".repeat(90_000))).await.unwrap();
    }
    within(async {
        while heard.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert_eq!(*heard.lock().unwrap(), [90_000; 3]);
    assert!(down.next().now_or_never().is_none(), "the link was lost");
    within(engine.shutdown()).await;
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
