//! Delivery of events: recipients, timing and order.

use connector_core::{ClientConfig, Context, Event, Plugin, PluginClient, PluginOptions, Refusal, Rest};
use futures_util::StreamExt;
use serde_json::{Value, json};

use crate::scripted_peer::plugin_with_scripted_engine;
use crate::support::{Host, Notes, settle, soon};

async fn active(host: &Host, name: &str) -> PluginClient {
    let client = host.engine.register(Plugin::new(name)).unwrap();
    host.engine.manager().activate(name).await.unwrap();
    client
}

async fn emit(emitter: &PluginClient, number: i64) {
    emitter.emit("e", (number,)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn on_receives_every_event_once_the_next_and_off_none() {
    let (host, all, next) = (Host::new().await, Notes::default(), Notes::default());
    let (speaker, other) = (active(&host, "speaker").await, active(&host, "other").await);
    host.local.on("speaker", "e", all.listener()).unwrap();
    other.once("speaker", "e", next.listener()).unwrap();
    for number in 1..=3 {
        emit(&speaker, number).await;
    }
    host.local.off("speaker", "e").unwrap();
    emit(&speaker, 4).await;
    assert_eq!(all.take(), [json!([1]), json!([2]), json!([3])]);
    assert_eq!(next.take(), [json!([1])]);
}

#[tokio::test(start_paused = true)]
async fn off_without_a_subscription_does_nothing() {
    let host = Host::new().await;
    host.local.off("missing", "nothing").unwrap();
    active(&host, "speaker").await;
    host.local.off("speaker", "nothing").unwrap();
    let (mut peer, _peers) = host.add_scripted("far", &["m"], false).await;
    peer.send(json!({"action": "off", "name": "speaker", "key": "nothing"}));
    host.assert_calls_reach(&mut peer, "far", "m").await;
}

#[tokio::test(start_paused = true)]
async fn a_dead_link_in_a_fan_out_stops_neither_emit_nor_other_listeners() {
    let (host, notes) = (Host::new().await, Notes::default());
    let (speaker, last) = (active(&host, "speaker").await, active(&host, "last").await);
    let (mut peer, mut peers) = host.add_scripted("far", &[], false).await;
    peer.send(json!({"action": "on", "name": "speaker", "key": "e"}));
    settle().await;
    last.on("speaker", "e", notes.listener()).unwrap();
    peer.close();
    emit(&speaker, 1).await;
    settle().await;
    emit(&speaker, 2).await;
    assert_eq!(notes.take(), [json!([1]), json!([2])]);
    drop(peers.next().await);
}

#[tokio::test(start_paused = true)]
async fn a_stored_event_is_delivered_at_once_to_a_new_listener() {
    let (host, notes) = (Host::new().await, Notes::default());
    let (speaker, other) = (active(&host, "speaker").await, active(&host, "other").await);
    emit(&speaker, 0).await;
    host.local.on("speaker", "e", |_: i64| ()).unwrap();
    other.on("speaker", "e", notes.listener()).unwrap();
    assert_eq!(notes.take(), Vec::<Value>::new(), "an event without subscribers is not stored");
    other.off("speaker", "e").unwrap();
    emit(&speaker, 1).await;
    other.once("speaker", "e", notes.listener()).unwrap();
    assert_eq!(notes.take(), [json!([1])]);
    emit(&speaker, 2).await;
    assert_eq!(notes.take(), Vec::<Value>::new(), "it had its one occurrence");
    other.on("speaker", "e", notes.listener()).unwrap();
    assert_eq!(notes.take(), [json!([2])]);
}

#[tokio::test(start_paused = true)]
async fn a_second_on_in_the_engine_only_receives_the_stored_event() {
    let (host, first, second) = (Host::new().await, Notes::default(), Notes::default());
    let speaker = active(&host, "speaker").await;
    host.local.on("speaker", "e", first.listener()).unwrap();
    emit(&speaker, 1).await;
    host.local.on("speaker", "e", second.listener()).unwrap();
    emit(&speaker, 2).await;
    assert_eq!(first.take(), [json!([1]), json!([2])]);
    assert_eq!(second.take(), [json!([1])]);
}

#[tokio::test(start_paused = true)]
async fn behind_a_link_each_on_adds_a_callback_and_off_removes_all() {
    let (first, second) = (Notes::default(), Notes::default());
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), ClientConfig::default(), false).await;
    client.on("x", "e", first.listener()).unwrap();
    client.once("x", "e", second.listener()).unwrap();
    let asked = |action: &str| json!({"action": action, "name": "x", "key": "e"});
    // `once` would end the subscription of `on` as soon as the engine stores an event.
    assert_eq!(engine.all().await, [asked("on"), asked("on")]);
    for number in 1..=2 {
        engine.send(json!({"action": "notification", "name": "x", "key": "e", "payload": [number]}));
    }
    settle().await;
    assert_eq!((first.take(), second.take()), (vec![json!([1]), json!([2])], vec![json!([1])]));
    client.off("x", "e").unwrap();
    assert_eq!(engine.all().await, [asked("off")]);
    engine.send(json!({"action": "notification", "name": "x", "key": "e", "payload": [3]}));
    settle().await;
    assert_eq!(first.take(), Vec::<Value>::new());
}

#[tokio::test(start_paused = true)]
async fn a_linked_listener_gets_notifications_under_either_name_of_on() {
    let host = Host::new().await;
    let speaker = active(&host, "speaker").await;
    let (mut peer, _peers) = host.add_scripted("far", &[], false).await;
    for old_or_new in ["on", "listen", "on"] {
        peer.send(json!({"action": old_or_new, "name": "speaker", "key": "e", "id": 0}));
    }
    settle().await;
    emit(&speaker, 1).await;
    assert_eq!(peer.all().await, [json!({"action": "notification", "name": "speaker", "key": "e", "payload": [1]})]);
    peer.send(json!({"action": "off", "name": "speaker", "key": "e"}));
    settle().await;
    emit(&speaker, 2).await;
    assert!(peer.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deactivation_clears_stored_events_and_listeners() {
    let (host, notes) = (Host::new().await, Notes::default());
    let (speaker, other) = (active(&host, "speaker").await, active(&host, "other").await);
    let manager = host.engine.manager();
    other.on("speaker", "e", notes.listener()).unwrap();
    emit(&speaker, 1).await;
    manager.deactivate("speaker").await.unwrap();
    manager.activate("speaker").await.unwrap();
    host.local.on("speaker", "e", notes.listener()).unwrap();
    assert_eq!(notes.take(), [json!([1])], "events from before the deactivation are not replayed");
    manager.deactivate("other").await.unwrap();
    manager.activate("other").await.unwrap();
    emit(&speaker, 2).await;
    assert_eq!(notes.take(), [json!([2])], "only local's");
}

#[tokio::test(start_paused = true)]
async fn subscriptions_may_precede_registration() {
    let (host, notes) = (Host::new().await, Notes::default());
    host.local.on("speaker", "e", notes.listener()).unwrap();
    let speaker = active(&host, "speaker").await;
    emit(&speaker, 1).await;
    assert_eq!(notes.take(), [json!([1])]);
}

#[tokio::test(start_paused = true)]
async fn events_emitted_by_a_handler_arrive_before_its_response() {
    let host = Host::new().await;
    host.add(|| Plugin::new("far").method("fire", |ctx: Context| async move { ctx.client().emit("e", (1,)).await }))
        .await;
    let (mut caller, _peers) = host.add_scripted("caller", &[], false).await;
    caller.send(json!({"action": "on", "name": "far", "key": "e"}));
    caller.send(json!({"action": "request", "id": 1, "name": "far", "key": "fire", "payload": []}));
    let (first, second) = (caller.recv().await, caller.recv().await);
    assert_eq!((&first["action"], &second["action"]), (&json!("notification"), &json!("response")));
}

#[tokio::test(start_paused = true)]
async fn a_stream_delivers_events_in_order_and_counts_missed_ones() {
    let host = Host::new().await;
    let speaker = active(&host, "speaker").await;
    let mut stream = host.local.events::<Rest>("speaker", "e", 2).unwrap();
    for number in 1..=5 {
        emit(&speaker, number).await;
    }
    let mut received = vec![];
    for _ in 0..3 {
        received.push(match soon(stream.next()).await.unwrap() {
            Event::Args(args) => serde_json::to_value(&args).unwrap(),
            Event::Missed(count) => json!({ "missed": count }),
            Event::Unreadable(error) => panic!("{error}"),
        });
    }
    assert_eq!(received, [json!([1]), json!([2]), json!({"missed": 3})]);
    emit(&speaker, 6).await;
    assert!(matches!(soon(stream.next()).await, Some(Event::Args(_))));
    drop(stream);
    let notes = Notes::default();
    host.local.on("speaker", "e", notes.listener()).unwrap();
    emit(&speaker, 7).await;
    assert_eq!(notes.take(), [json!([6]), json!([7])], "dropping the stream made room for another listener");
}

#[tokio::test(start_paused = true)]
async fn a_typed_stream_delivers_unreadable_events_as_items() {
    let host = Host::new().await;
    let speaker = active(&host, "speaker").await;
    let (client, engine) = plugin_with_scripted_engine(Plugin::new("p"), Default::default(), true).await;
    let here = host.local.events::<(i64, String)>("speaker", "e", 8).unwrap();
    let behind = client.events::<(i64, String)>("speaker", "e", 8).unwrap();
    for args in [json!([1, "one"]), json!(["two", 2]), json!([3.0, "three", "more"])] {
        speaker.emit("e", connector_core::Payload::new(args.clone())).await.unwrap();
        engine.send(json!({"action": "notification", "name": "speaker", "key": "e", "payload": args}));
    }
    for mut stream in [here, behind] {
        let Some(Event::Args(first)) = soon(stream.recv()).await else { panic!("no event") };
        assert_eq!(first, (1, "one".to_owned()));
        let Some(Event::Unreadable(error)) = soon(stream.recv()).await else { panic!("it fits") };
        assert_eq!(error.to_string(), "argument 1: invalid type: string \"two\", expected i64");
        let Some(Event::Args((number, text))) = soon(stream.recv()).await else { panic!("no event") };
        assert_eq!((number, &*text), (3, "three"));
    }
}

#[tokio::test(start_paused = true)]
async fn all_of_many_listeners_receive_an_event() {
    let (host, notes) = (Host::new().await, Notes::default());
    let speaker = active(&host, "speaker").await;
    for number in 0..200 {
        let listener = active(&host, &format!("l{number}")).await;
        listener.on("speaker", "e", notes.listener()).unwrap();
    }
    emit(&speaker, 1).await;
    assert_eq!(notes.take().len(), 200);
}

#[tokio::test(start_paused = true)]
async fn listeners_are_bounded() {
    let mut few = PluginOptions::default();
    few.max_subscriptions = 2;
    let host = Host::new().await;
    let listener = host.engine.register(Plugin::new("listener").options(few)).unwrap();
    host.engine.manager().activate("listener").await.unwrap();
    for event in ["a", "b", "a"] {
        listener.on("speaker", event, || ()).unwrap();
    }
    let error = listener.on("speaker", "c", || ()).unwrap_err();
    let connector_core::CallError::Refused(refusal) = error else { panic!("{error:?}") };
    assert!(matches!(*refusal, Refusal::TooManyListeners { limit: 2, .. }));
    listener.off("speaker", "a").unwrap();
    listener.on("speaker", "c", || ()).unwrap();
}

/// A listener subscribes while another thread emits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stored_event_is_never_delivered_after_a_newer_one() {
    let host = Host::new().await;
    host.local.on("clock", "e", |_: i64| {}).unwrap();
    let clock = active(&host, "clock").await;
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let stopped = stop.clone();
    let emitter = tokio::spawn(async move {
        let mut number = 0;
        while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
            emit(&clock, number).await;
            number += 1;
        }
    });
    let mut out_of_order = None;
    for _ in 0..3000 {
        let numbers = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let noted = numbers.clone();
        host.local.on("clock", "e", |_: i64| {}).unwrap();
        host.local.off("clock", "e").unwrap();
        host.local.on("clock", "e", move |number: i64| noted.lock().unwrap().push(number)).unwrap();
        std::thread::yield_now();
        host.local.off("clock", "e").unwrap();
        let numbers = numbers.lock().unwrap().clone();
        if !numbers.is_sorted_by(|a, b| a < b) {
            out_of_order = Some(numbers);
        }
    }
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    emitter.await.unwrap();
    assert_eq!(out_of_order, None);
}

#[tokio::test(start_paused = true)]
async fn a_listener_may_unsubscribe_or_emit_when_it_receives_the_stored_event() {
    let (host, notes) = (Host::new().await, Notes::default());
    let clock = active(&host, "clock").await;
    host.local.on("clock", "e", |_: i64| {}).unwrap();
    emit(&clock, 1).await;
    let ears = active(&host, "ears").await;
    let (itself, noted) = (ears.clone(), notes.clone());
    ears.on("clock", "e", move |number: i64| {
        noted.add(number);
        itself.off("clock", "e").unwrap();
    })
    .unwrap();
    emit(&clock, 2).await;
    assert_eq!(notes.take(), [1]);
    let (emits, noted) = (clock.clone(), notes.clone());
    ears.on("clock", "e", move |number: i64| {
        noted.add(number);
        if number < 5 {
            futures_util::FutureExt::now_or_never(emit(&emits, number + 1)).unwrap();
        }
    })
    .unwrap();
    emit(&clock, 6).await;
    assert_eq!(notes.take(), [2, 3, 4, 5, 6]);
}
