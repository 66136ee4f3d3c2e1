//! An emitter that waits for its subscribers.

use std::time::Duration;

use connector_core::{CallError, ClientConfig, Event, Plugin, PluginClient, PluginOptions};
use futures_util::FutureExt;
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::scripted_peer::{Peer, Peers, plugin_with_scripted_engine};
use crate::support::{Host, Notes, settle, short_queue, soon};

const HOUR: Duration = Duration::from_secs(3600);

/// Emits that many events of `local`, each within an hour.
fn emit_all(local: &PluginClient, events: usize, text: String) -> JoinHandle<()> {
    let local = local.clone();
    tokio::spawn(async move {
        for number in 0..events {
            local.emit_within(HOUR, "e", (number, text.clone())).await.unwrap();
        }
    })
}

async fn with_listener(options: PluginOptions) -> (Host, Peer, Peers) {
    let host = Host::new().await;
    let (peer, peers) = host.add_scripted_with(options, "listener", &[], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    (host, peer, peers)
}

/// Reads that many events, more slowly than they can be emitted, and asserts their numbers.
async fn read_all(peer: &mut Peer, events: usize) {
    for number in 0..events {
        sleep(Duration::from_millis(1)).await;
        assert_eq!(peer.recv().await["payload"][0], json!(number));
    }
}

#[tokio::test(start_paused = true)]
async fn no_event_is_missed_by_a_slow_stream() {
    let host = Host::new().await;
    let mut stream = host.local.events::<(usize, String)>("local", "e", 2).unwrap();
    let emitter = emit_all(&host.local, 100, String::new());
    for expected in 0..100 {
        sleep(Duration::from_millis(100)).await;
        let Some(Event::Args((number, _))) = soon(stream.recv()).await else { panic!("no event {expected}") };
        assert_eq!(number, expected);
    }
    emitter.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn no_event_is_dropped_in_front_of_a_slow_link() {
    let options = PluginOptions::default().queue(short_queue(16).max_messages(32));
    let (_host, mut peer, _peers) = with_listener(options).await;
    let emitter = emit_all(&_host.local, 1000, String::new());
    read_all(&mut peer, 1000).await;
    emitter.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn large_events_wait_as_well() {
    // Room for five of these events, of which the 64 that the link accepts are no part.
    let (host, mut peer, _peers) = with_listener(PluginOptions::default().memory_limit(1_050_000)).await;
    let emitter = emit_all(&host.local, 200, "x".repeat(100_000));
    read_all(&mut peer, 200).await;
    emitter.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_does_not_read_delays_the_others_by_the_limit_only() {
    let (host, notes) = (Host::new().await, Notes::default());
    let mut stream = host.local.events::<(usize,)>("local", "e", 1).unwrap();
    host.local.on("local", "e", notes.listener()).unwrap();
    host.local.emit("e", (1,)).await.unwrap();
    let began = Instant::now();
    host.local.emit_within(Duration::from_secs(5), "e", (2,)).await.unwrap();
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(notes.take(), [json!([1]), json!([2])]);
    assert!(matches!(soon(stream.recv()).await, Some(Event::Args((1,)))));
    assert!(matches!(soon(stream.recv()).await, Some(Event::Missed(1))));
}

#[tokio::test(start_paused = true)]
async fn a_flood_by_another_emitter_does_not_delay_this_one() {
    let options = PluginOptions::default().queue(short_queue(16));
    let (host, peer, _peers) = with_listener(options).await;
    let (flood, _floods) = host.add_scripted("flood", &[], false).await;
    peer.send(json!({"action": "on", "name": "flood", "key": "e"}));
    settle().await;
    for number in 0..1000 {
        flood.send(json!({"action": "emit", "key": "e", "payload": [number]}));
    }
    settle().await;
    for number in 0..16 {
        let emitted = host.local.emit_within(HOUR, "e", (number,)).now_or_never();
        emitted.expect("it waits although its own events are few").unwrap();
    }
    assert!(host.local.emit_within(HOUR, "e", (16,)).now_or_never().is_none(), "its own events fill the capacity");
}

#[tokio::test(start_paused = true)]
async fn the_wait_ends_once_its_own_events_are_read_although_others_keep_the_queue_full() {
    let options = PluginOptions::default().queue(short_queue(16));
    let (host, mut peer, _peers) = with_listener(options).await;
    let (flood, _floods) = host.add_scripted("flood", &[], false).await;
    peer.send(json!({"action": "on", "name": "flood", "key": "e"}));
    settle().await;
    let event = json!({"action": "emit", "key": "e", "payload": [0]});
    // Beyond the 64 that the link accepts.
    (0..64).for_each(|_| flood.send(event.clone()));
    settle().await;
    for number in 0..16 {
        host.local.emit("e", (number,)).await.unwrap();
    }
    (0..64).for_each(|_| flood.send(event.clone()));
    settle().await;
    let local = host.local.clone();
    let waiting = tokio::spawn(async move { local.emit_within(HOUR, "e", (16,)).await });
    for _ in 0..200 {
        settle().await;
        if waiting.is_finished() {
            return;
        }
        peer.recv().await;
        flood.send(event.clone());
    }
    panic!("it waits although none of its events is queued");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_subscription_or_link_ends_the_wait() {
    let (host, mut peer, _peers) = with_listener(PluginOptions::default().queue(short_queue(16))).await;
    for number in 0..64 + 16 + 1 {
        host.local.emit("e", (number,)).await.unwrap();
    }
    settle().await;
    let stream = host.local.events::<(usize,)>("local", "other", 1).unwrap();
    host.local.emit("other", (1,)).await.unwrap();
    let (local, waiting) = (host.local.clone(), host.local.clone());
    let for_link = tokio::spawn(async move { local.emit_within(HOUR, "e", (99,)).await });
    let for_stream = tokio::spawn(async move { waiting.emit_within(HOUR, "other", (2,)).await });
    settle().await;
    assert!(!for_link.is_finished() && !for_stream.is_finished());
    drop(stream);
    soon(for_stream).await.unwrap().unwrap();
    peer.close();
    soon(for_link).await.unwrap().unwrap();
}

/// Also if it is active again by the time that the emitter's task runs.
#[tokio::test(start_paused = true)]
async fn the_deactivation_of_the_emitter_ends_the_wait_with_an_error() {
    let host = Host::new().await;
    for activates_again in [false, true] {
        let emitter = host.engine.register(Plugin::new("emitter")).unwrap();
        host.engine.manager().activate("emitter").await.unwrap();
        let mut stream = host.local.events::<(usize,)>("emitter", "e", 1).unwrap();
        emitter.emit("e", (1,)).await.unwrap();
        let mut waiting = std::pin::pin!(emitter.emit_within(HOUR, "e", (2,)));
        assert!(waiting.as_mut().now_or_never().is_none());
        host.engine.manager().deactivate("emitter").await.unwrap();
        if activates_again {
            host.engine.manager().activate("emitter").await.unwrap();
        }
        let error = soon(waiting).await.unwrap_err();
        assert!(
            error.to_string().contains("\"emitter\" is currently deactivated. It cannot emit the event e"),
            "{error}"
        );
        assert!(matches!(soon(stream.recv()).await, Some(Event::Args((1,)))));
        assert!(stream.recv().now_or_never().is_none());
        let error = soon(emitter.emit_within(HOUR, "e", (3,))).await;
        assert_eq!(error.is_err(), !activates_again);
        host.engine.remove("emitter").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_emits_nothing() {
    let (host, notes) = (Host::new().await, Notes::default());
    let _stream = host.local.events::<(usize,)>("local", "e", 1).unwrap();
    host.local.on("local", "e", notes.listener()).unwrap();
    host.local.emit("e", (1,)).await.unwrap();
    assert!(host.local.emit_within(HOUR, "e", (2,)).now_or_never().is_none());
    sleep(2 * HOUR).await;
    assert_eq!(notes.take(), [json!([1])]);
}

#[tokio::test(start_paused = true)]
async fn behind_a_link_the_limit_applies_to_the_links_own_queue() {
    let config = ClientConfig::default().queue(short_queue(16));
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), config, false).await;
    let limit = Duration::from_secs(1);
    let mut emitted = 0;
    let error = loop {
        match client.emit_within(limit, "e", (emitted,)).await {
            Ok(()) => emitted += 1,
            Err(error) => break error,
        }
        settle().await;
    };
    assert!(matches!(error, CallError::TimedOut(_)), "{error:?}");
    assert_eq!(error.to_string(), "the event e was not emitted: the link's queue was full for 1s");
    let mut received = Vec::new();
    while let Some(more) = Some(engine.all().await).filter(|more| !more.is_empty()) {
        received.extend(more.into_iter().map(|event| event["payload"][0].clone()));
    }
    assert_eq!(received, (0..emitted).map(Value::from).collect::<Vec<_>>());
}
