//! Published, outdated and hostile peers at either end of a link.

use conformance::probe;
use connector_core::{CallError, ClientConfig, Payload, Plugin, connect};
use serde_json::{Value, json};

use crate::scripted_peer::{Peer, plugin_with_scripted_engine, scripted_link};
use crate::support::{Host, Notes, settle, soon};

/// None of these expects a response.
const NONSENSE: [&str; 10] = [
    "",
    "not JSON",
    "5",
    "null",
    "[]",
    "{}",
    r#"{"action":"dance"}"#,
    r#"{"action":5}"#,
    r#"{"id":1}"#,
    r#"[{"action":"request","id":1,"name":"x","key":"y"}]"#,
];

const INCOMPLETE: [&str; 6] = [
    r#"{"action":"response"}"#,
    r#"{"action":"response","id":null}"#,
    r#"{"action":"on"}"#,
    r#"{"action":"emit"}"#,
    r#"{"action":"notification","key":"e"}"#,
    r#"{"action":"cancel"}"#,
];

fn offend(peer: &Peer) {
    for frame in NONSENSE.into_iter().chain(INCOMPLETE) {
        peer.send_text(frame);
    }
    peer.send_text(&b"\xff\xfe"[..]);
    peer.send_text("[".repeat(100_000));
    peer.send_text(format!("{{\"action\":{}", "[".repeat(100_000)));
    for field in ["extensions", "errorKind", "id", "requestInfo", "unknown"] {
        let deep = "[".repeat(1000) + &"]".repeat(1000);
        peer.send_text(format!("{{\"action\":\"response\",\"id\":-77,\"{field}\":{deep}}}"));
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_drops_invalid_messages_and_keeps_the_link() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &["m"], false).await;
    offend(&peer);
    assert_eq!(peer.all().await, Vec::<Value>::new());
    host.assert_calls_reach(&mut peer, "far", "m").await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_drops_invalid_messages_and_keeps_the_link() {
    let (_client, mut engine) = plugin_with_scripted_engine(probe(), ClientConfig::default(), false).await;
    offend(&engine);
    for wrong_way in ["on", "once", "off", "listen"] {
        engine.send(json!({"action": wrong_way, "name": "probe", "key": "e"}));
    }
    assert_eq!(engine.all().await, Vec::<Value>::new());
    engine.send(json!({"action": "call", "id": 3, "name": "probe", "key": "add", "payload": [1, 2]}));
    let answer = json!({"action": "response", "id": 3, "name": "probe", "key": "add", "payload": 3});
    assert_eq!(engine.recv().await, answer);
}

#[tokio::test(start_paused = true)]
async fn a_request_before_the_handshake_is_answered_with_the_published_error() {
    let (mut engine, link) = scripted_link();
    let (client, link) = connect(link, probe(), ClientConfig::default());
    tokio::spawn(link);
    assert_eq!(engine.recv().await["key"], "handshake");
    engine.send(json!({"action": "request", "id": 4, "name": "probe", "key": "add", "payload": [1, 2]}));
    let answer = json!({"action": "response", "id": 4, "name": "probe", "key": "add", "error": "Handshake before communicating"});
    assert_eq!(engine.recv().await, answer);
    assert!(client.call::<()>("x", "y", ()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_repeated_handshake_is_answered_and_resets_nothing() {
    let (client, mut engine) = plugin_with_scripted_engine(probe(), ClientConfig::default(), false).await;
    let call = tokio::spawn(async move { client.call::<i64>("x", "y", ()).await });
    let request = engine.recv().await;
    engine.send(json!({"action": "call", "id": 9, "key": "handshake", "name": "probe", "payload": ["probe"]}));
    let answer = engine.recv().await;
    assert_eq!((&answer["id"], &answer["payload"][0]), (&json!(9), &json!("echo")));
    engine.answer(&request, json!(7));
    assert_eq!(soon(call).await.unwrap().unwrap(), 7);

    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &["m"], false).await;
    let call = host.start::<i64>("far", "m", ());
    let request = peer.recv().await;
    peer.send(json!({"action": "request", "key": "handshake", "id": -1}));
    peer.answer_handshake(&["m", "n"], false).await;
    peer.answer(&request, json!(7));
    assert_eq!(soon(call).await.unwrap().unwrap(), 7);
    assert_eq!(host.engine.manager().profile("far").unwrap().methods.unwrap(), ["m", "n"]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_handshakes_is_bounded() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &["m"], false).await;
    for _ in 0..1000 {
        peer.send(json!({"action": "request", "key": "handshake", "id": -1}));
    }
    let asked = peer.all().await;
    assert!(asked.len() <= 16 && asked.iter().all(|ask| ask["key"] == "handshake"), "{}", asked.len());
    host.assert_calls_reach(&mut peer, "far", "m").await;
}

#[tokio::test(start_paused = true)]
async fn the_engines_handshake_matches_the_published_one() {
    let host = Host::new().await;
    let options = connector_core::PluginOptions::default().engine_name("remix");
    let mut peers = host.register_scripted("far", options);
    let _activated = host.start_activation("far");
    let mut ask = peers.next().await.recv().await;
    assert!(ask["id"].is_i64());
    ask["id"] = 0.into();
    let expected = json!({
        "action": "request", "id": 0, "key": "handshake", "name": "far", "payload": ["far", "remix"],
        "extensions": ["cancelById", "errorKind", "traceContext", "deadline", "draining"],
    });
    assert_eq!(ask, expected);
}

#[tokio::test(start_paused = true)]
async fn the_engine_sets_the_caller_of_a_request() {
    let host = Host::new().await;
    let (mut target, _targets) = host.add_scripted("target", &["m"], false).await;
    let (mut caller, _callers) = host.add_scripted("caller", &[], false).await;
    caller.send(json!({
        "action": "request", "id": 1, "name": "target.sub", "key": "m", "payload": [1],
        "requestInfo": {"from": "manager", "path": "elsewhere", "isFromNative": true},
    }));
    let mut request = target.recv().await;
    let id = request["id"].take();
    let expected = json!({
        "action": "request", "id": null, "name": "target", "key": "m", "payload": [1],
        "requestInfo": {"from": "caller", "path": "target.sub"},
    });
    assert_eq!(request, expected);
    target.send(json!({"action": "response", "id": id, "name": "target", "key": "m"}));
    let answer = json!({"action": "response", "id": 1, "name": "target.sub", "key": "m", "payload": null});
    assert_eq!(caller.recv().await, answer, "no payload is null");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_received_under_its_old_name_too() {
    let (host, notes) = (Host::new().await, Notes::default());
    let (peer, _peers) = host.add_scripted("far", &[], false).await;
    host.local.on("far", "e", notes.listener()).unwrap();
    for (number, action) in ["emit", "notification"].into_iter().enumerate() {
        peer.send(json!({"action": action, "key": "e", "payload": [number]}));
    }
    peer.send(json!({"action": "emit", "key": "e", "payload": null}));
    settle().await;
    assert_eq!(notes.take(), [json!([0]), json!([1])]);
}

#[tokio::test(start_paused = true)]
async fn unusual_json_passes_unchanged_and_fails_clearly_when_parsed() {
    let host = Host::new().await;
    host.add(probe).await;
    host.engine.register(Plugin::new("near").method("parse", |value: Value| async move { value })).unwrap();
    let deep = "[".repeat(1000) + &"]".repeat(1000);
    for odd in [deep.as_str(), r#""\ud800""#, r#"{"a" : 1, "a":2}"#, "1e400", "12345678901234567890123"] {
        let payload = Payload::from_json(odd.to_owned()).unwrap();
        let back: Payload = host.local.call("probe", "echo", (payload.clone(),)).await.unwrap();
        assert_eq!(&back.to_json().unwrap()[..], odd.as_bytes());
    }
    for odd in [deep.as_str(), r#""\ud800""#] {
        let payload = Payload::from_json(odd.to_owned()).unwrap();
        let error = host.local.call::<Value>("probe", "echo", (payload.clone(),)).await.unwrap_err();
        assert!(matches!(&error, CallError::Result(_)), "{error:?}");
        let error = host.local.call::<Value>("near", "parse", (payload,)).await.unwrap_err();
        assert!(error.to_string().starts_with("parse: argument 1: "), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_running_methods_are_refused_as_busy() {
    let mut config = ClientConfig::default();
    config.max_running = 1;
    let plugin = Plugin::new("p").method("hang", || async { std::future::pending::<()>().await });
    let (_client, mut engine) = plugin_with_scripted_engine(plugin, config, true).await;
    for id in [1, 2] {
        engine.send(json!({"action": "request", "id": id, "name": "p", "key": "hang", "payload": []}));
    }
    let answers = engine.all().await;
    assert_eq!(answers.len(), 1);
    assert!(answers[0]["error"].as_str().unwrap().contains("is busy: 1 calls are waiting"), "{}", answers[0]);
}

#[tokio::test(start_paused = true)]
async fn too_many_calls_of_a_plugin_are_refused_as_busy() {
    let host = Host::new().await;
    let mut few = connector_core::PluginOptions::default();
    few.max_calls = 1;
    host.engine.register(Plugin::new("near").method("hang", || async { std::future::pending::<()>().await })).unwrap();
    let (mut peer, _peers) = host.add_scripted_with(few, "far", &[], true).await;
    for id in [1, 2] {
        peer.send(json!({"action": "request", "id": id, "name": "near", "key": "hang", "payload": []}));
    }
    let answers = peer.all().await;
    assert_eq!(answers.len(), 1);
    assert_eq!((&answers[0]["id"], &answers[0]["errorKind"]), (&json!(2), &json!("refused")));
}
