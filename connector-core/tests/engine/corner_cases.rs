//! Corner cases of events, errors, profiles and services.

use connector_core::{
    CallError, ClientConfig, Event, Fault, Payload, Plugin, PluginOptions, QueueLimits, Rest, Service,
};
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};

use crate::scripted_peer::plugin_with_scripted_engine;
use crate::support::{Host, Notes, settle, soon};

#[tokio::test(start_paused = true)]
async fn a_plugin_with_many_subscriptions_does_not_block_others() {
    let host = Host::new().await;
    let (peer, _peers) = host.add_scripted("greedy", &[], false).await;
    for number in 0..4096 {
        peer.send(json!({"action": "on", "name": "manager", "key": format!("e{number}")}));
    }
    settle().await;
    host.local.on("manager", "pluginActivated", || ()).unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_error_that_is_false_in_javascript_is_an_error_behind_a_link_too() {
    let host = Host::new().await;
    let throws = |name: &str| {
        Plugin::new(name)
            .method("throw", |what: Value| async move { Err::<(), _>(Fault::from_payload(Payload::new(what))) })
    };
    host.add(move || throws("far")).await;
    host.engine.register(throws("near")).unwrap();
    for target in ["near", "far"] {
        for what in [json!(null), json!(""), json!(0), json!(false)] {
            let outcome = host.local.call::<Value>(target, "throw", (what.clone(),)).await;
            assert!(matches!(outcome, Err(CallError::Plugin(_))), "{target} {what}: {outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn events_emitted_before_a_graceful_close_arrive() {
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), ClientConfig::default(), true).await;
    client.emit("last words", (1,)).await.unwrap();
    client.disconnect();
    let words = engine.next().await.expect("closed gracefully");
    assert_eq!(words["key"], "last words");
    assert!(engine.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_graceful_close_loses_neither_events_nor_responses() {
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), ClientConfig::default(), true).await;
    let mut calls: Vec<_> = (0..50).map(|n| Box::pin(client.call::<usize>("other", "echo", (n,)))).collect();
    for call in &mut calls {
        assert!(call.as_mut().now_or_never().is_none());
    }
    for request in engine.all().await {
        engine.answer(&request, request["payload"][0].clone());
    }
    for n in 0..50 {
        client.emit("counted", (n,)).await.unwrap();
    }
    client.disconnect();
    for n in 0..50 {
        assert_eq!(engine.recv().await["payload"], json!([n]));
    }
    assert!(engine.next().await.is_none());
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap(), n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_with_its_plugins_link() {
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), ClientConfig::default(), true).await;
    let mut stream = client.events::<Rest>("x", "e", 8).unwrap();
    engine.send(json!({"action": "notification", "name": "x", "key": "e", "payload": [1]}));
    settle().await;
    engine.close();
    assert!(matches!(soon(stream.next()).await, Some(Event::Args(_))));
    assert!(soon(stream.next()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_error_that_panics_when_displayed_is_that_calls_error() {
    struct Bad;
    impl std::fmt::Display for Bad {
        fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            panic!("no words")
        }
    }
    let host = Host::new().await;
    host.add(|| Plugin::new("far").method("bad", || async { Err::<(), _>(Bad) })).await;
    assert!(matches!(host.local.call::<()>("far", "bad", ()).await, Err(CallError::Plugin(_))));
}

#[tokio::test(start_paused = true)]
async fn a_recreated_service_is_listed_once() {
    let host = Host::new().await;
    let ping = || Service::new().method("ping", || async { "pong" });
    for _ in 0..2 {
        host.local.create_service("tools", ping()).await.unwrap();
    }
    assert_eq!(host.engine.manager().profile("local").unwrap().methods.unwrap(), ["ping"]);
}

#[tokio::test(start_paused = true)]
async fn an_event_during_an_outage_is_delivered_once_after_resubscription() {
    let (host, notes) = (Host::new().await, Notes::default());
    let noted = notes.clone();
    let switch = host
        .add(move || {
            let notes = noted.clone();
            Plugin::new("far").on_activation(move |client| {
                client.on("local", "e", notes.listener()).unwrap();
                async {}
            })
        })
        .await;
    switch.cut();
    settle().await;
    for number in 1..=2 {
        host.local.emit("e", (number,)).await.unwrap();
    }
    tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    assert_eq!(notes.take(), [json!([1]), json!([2])]);
}

#[tokio::test(start_paused = true)]
async fn a_url_cannot_be_removed() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &[], false).await;
    for nothing in [json!(null), json!("")] {
        let update = json!([{"url": nothing}]);
        peer.send(json!({"action": "request", "id": 1, "name": "manager", "key": "updateProfile", "payload": update}));
        peer.recv().await;
        assert_eq!(host.engine.manager().profile("far").unwrap().url.as_deref(), Some("hand://"));
    }
}

#[tokio::test(start_paused = true)]
async fn the_newest_events_within_the_byte_limit_are_kept_during_an_outage() {
    let host = Host::new().await;
    let mut limits = QueueLimits::default();
    limits.max_bytes = 100;
    let options = PluginOptions::default().queue(limits);
    let (mut peer, mut peers) = host.add_scripted_with(options, "far", &[], false).await;
    let (speaker, _peers) = host.add_scripted("speaker", &[], false).await;
    peer.send(json!({"action": "on", "name": "speaker", "key": "e"}));
    settle().await;
    peer.close();
    settle().await;
    for number in 0..10 {
        speaker.send(json!({"action": "emit", "key": "e", "payload": [number, "x".repeat(40)]}));
    }
    settle().await;
    let mut peer = peers.next().await;
    peer.answer_handshake(&[], false).await;
    let received: Vec<Value> = peer.all().await.iter().map(|event| event["payload"][0].clone()).collect();
    assert_eq!(received, [8, 9]);
}

/// Dropping the stream unsubscribes, which takes the locks that guard its callback.
#[tokio::test(start_paused = true)]
async fn a_callback_may_own_a_stream() {
    let host = Host::new().await;
    let stream = host.local.events::<Rest>("x", "inner", 8).unwrap();
    host.local.on("x", "outer", move |_: Rest| drop(format!("{stream:?}"))).unwrap();
    host.local.off("x", "outer").unwrap();

    let (client, _engine) = plugin_with_scripted_engine(Plugin::new("p"), ClientConfig::default(), true).await;
    let stream = client.events::<Rest>("x", "inner", 8).unwrap();
    client.on("x", "outer", move |_: Rest| drop(format!("{stream:?}"))).unwrap();
    client.off("x", "outer").unwrap();
}
