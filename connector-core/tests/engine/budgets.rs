//! The memory that is held for a plugin behind a link is bounded in bytes, and its own requests are refused beyond.

use connector_core::{ClientConfig, Engine, Plugin, PluginOptions, connect};
use serde_json::{Value, json};

use crate::scripted_peer::{Peer, Transport, plugin_with_scripted_engine, scripted_link_over};
use crate::support::{Host, Notes, settle};

/// A message of this size, of which the limit below admits ten (events: five).
const BLOB: usize = 100_000;
const LIMIT: usize = 10 * BLOB + 50_000;
/// What a scripted link accepts without being read.
const UNREAD: usize = 64;

fn limited() -> PluginOptions {
    PluginOptions::default().memory_limit(LIMIT)
}

fn blob() -> String {
    "x".repeat(BLOB)
}

fn request(id: usize, target: &str, method: &str, args: Value) -> Value {
    json!({"action": "request", "id": id, "name": target, "key": method, "payload": args})
}

/// A plugin `blobs` whose method returns a large value, and whose other method never returns.
async fn host_with_blobs(engine: Engine) -> Host {
    let host = Host::with(engine).await;
    let plugin = Plugin::new("blobs")
        .method("get", || async {
            tokio::task::yield_now().await;
            blob()
        })
        .method("take", |_: String| async { std::future::pending::<()>().await });
    host.engine.register(plugin.options(PluginOptions::default().concurrency(1000))).unwrap();
    host.engine.manager().activate("blobs").await.unwrap();
    host
}

/// The number of successful and of failed responses.
fn count(responses: &[Value]) -> (usize, usize) {
    let failed = responses.iter().filter(|response| response["error"].is_string()).count();
    (responses.len() - failed, failed)
}

/// Everything that arrives until nothing more does.
async fn drain(peer: &mut Peer) -> Vec<Value> {
    let mut all = Vec::new();
    loop {
        let more = peer.all().await;
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

#[tokio::test(start_paused = true)]
async fn queued_values_count_about_as_many_bytes_as_their_json() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted_with(limited(), "p", &[], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    for n in 0..900 {
        host.local.emit("e", (n, blob())).await.unwrap();
    }
    let events = drain(&mut peer).await;
    assert!(events.len() <= UNREAD + 6, "{} events were kept", events.len());
    assert_eq!(events.last().unwrap()["payload"][0], 899, "the newest are kept");
    assert!(host.engine.link_state("p").unwrap().borrow().is_up());
}

#[tokio::test(start_paused = true)]
async fn values_kept_while_the_link_is_down_count_as_well() {
    let host = Host::new().await;
    let (mut peer, mut peers) = host.add_scripted_with(limited(), "p", &[], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    peer.close();
    settle().await;
    for n in 0..900 {
        host.local.emit("e", (n, blob())).await.unwrap();
    }
    let mut peer = peers.next().await;
    peer.answer_handshake(&[], false).await;
    let events = drain(&mut peer).await;
    assert!((1..=6).contains(&events.len()), "{} events were kept", events.len());
    assert_eq!(events.last().unwrap()["payload"][0], 899, "the newest are kept");
}

#[tokio::test(start_paused = true)]
async fn results_that_are_not_read_become_errors() {
    let host = host_with_blobs(Engine::new()).await;
    let (mut peer, _peers) = host.add_scripted_with(limited(), "p", &[], false).await;
    for id in 0..250 {
        peer.send(request(id, "blobs", "get", json!([])));
    }
    let responses = drain(&mut peer).await;
    let (succeeded, failed) = count(&responses);
    assert!(succeeded <= UNREAD + 6 && succeeded + failed == 250, "{succeeded} results were kept");
    for expected in
        ["the result cannot be kept until it is read", "Cannot call get of blobs from p, because p uses too much"]
    {
        let error =
            responses.iter().filter_map(|response| response["error"].as_str()).find(|error| error.contains(expected));
        assert!(error.is_some_and(|error| error.contains("of 525000 bytes")), "{expected}: {error:?}");
    }

    peer.send(request(250, "blobs", "get", json!([])));
    assert!(peer.recv().await["error"].is_null(), "once they are read, calls work again");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_reads_nothing_loses_its_link() {
    let host = host_with_blobs(Engine::new()).await;
    let (peer, mut peers) = host.add_scripted_with(limited(), "p", &[], false).await;
    for id in 0..250 {
        peer.send(request(id, "blobs", "get", json!([])));
    }
    tokio::time::sleep(std::time::Duration::from_secs(14)).await;
    let state = host.engine.link_state("p").unwrap().borrow().to_string();
    assert!(state.contains("too slow"), "{state}");
    peers.next().await;
}

/// Calls `take` 200 times with a blob, from the id `first` on. Ten calls fit, and never end. Returns the error of the others.
async fn exceed_with_arguments(peer: &mut Peer, first: usize, target: &str) -> String {
    for id in first..first + 200 {
        peer.send(request(id, target, "take", json!([blob()])));
    }
    let refused = drain(peer).await;
    assert_eq!(count(&refused), (0, 190));
    refused[0]["error"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn arguments_of_unfinished_calls_are_charged_to_the_caller() {
    let host = host_with_blobs(Engine::new()).await;
    let (mut peer, _peers) = host.add_scripted_with(limited(), "p", &[], false).await;
    let (mut other, _others) = host.add_scripted_with(limited(), "other", &[], false).await;
    let error = exceed_with_arguments(&mut peer, 0, "blobs").await;
    assert!(error.starts_with("Cannot call take of blobs from p, because p uses too much memory: "), "{error}");
    assert!(error.contains("of 1050000 bytes are in use"), "{error}");

    other.send(request(0, "blobs", "get", json!([])));
    assert!(other.recv().await["error"].is_null(), "another caller is not affected");

    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    drain(&mut peer).await;
    peer.send(request(200, "blobs", "get", json!([])));
    assert!(peer.recv().await["error"].is_null(), "after the calls have timed out");
}

#[tokio::test(start_paused = true)]
async fn names_of_requests_count_as_well() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted_with(limited(), "p", &[], false).await;
    // Unreadable requests, whose odd names are echoed.
    for id in 0..250 {
        peer.send_text(format!(r#"{{"action":"request","id":{id},"name":["{}"],"key":"k"}}"#, blob()));
    }
    settle().await;
    let state = host.engine.link_state("p").unwrap().borrow().to_string();
    assert!(state.contains("too slow"), "{state}");
    assert!(drain_closed(&mut peer).await <= UNREAD + 12);
}

async fn drain_closed(peer: &mut Peer) -> usize {
    let mut messages = 0;
    while peer.next().await.is_some() {
        messages += 1;
    }
    messages
}

#[tokio::test(start_paused = true)]
async fn stored_events_are_charged_to_their_emitter() {
    let host = Host::new().await;
    let (peer, _peers) = host.add_scripted_with(limited(), "p", &[], false).await;
    let notes = Notes::default();
    for event in 0..250 {
        host.local.on("p", &format!("e{event}"), |_: connector_core::Rest| {}).unwrap();
        peer.send(json!({"action": "emit", "key": format!("e{event}"), "payload": [event, blob()]}));
    }
    settle().await;
    let stored = |notes: &Notes| {
        for event in 0..250 {
            let notes = notes.clone();
            host.local.once("p", &format!("e{event}"), move |n: i64, _: String| notes.add(n)).unwrap();
        }
        notes.take().len()
    };
    assert_eq!(stored(&notes), 10);

    // An occurrence that fits replaces the one before.
    peer.send(json!({"action": "emit", "key": "e0", "payload": [0, "small"]}));
    peer.send(json!({"action": "emit", "key": "e99", "payload": [99, blob()]}));
    settle().await;
    assert_eq!(stored(&notes), 11);

    host.engine.manager().deactivate("p").await.unwrap();
    assert_eq!(stored(&notes), 0, "forgotten with the emitter");
}

#[tokio::test(start_paused = true)]
async fn all_plugins_share_the_engines_budget() {
    let host = host_with_blobs(Engine::builder().memory_limit(20 * BLOB).build()).await;
    let mut peers = Vec::new();
    for name in ["p", "q", "r"] {
        let (mut peer, accepts) = host.add_scripted_with(limited(), name, &[], false).await;
        for id in 0..20 {
            peer.send(request(id, "blobs", "take", json!([blob()])));
        }
        let refused = drain(&mut peer).await;
        peers.push((20 - refused.len(), refused, accepts, peer));
    }
    let admitted: Vec<_> = peers.iter().map(|(admitted, ..)| *admitted).collect();
    assert_eq!(admitted[0], 10);
    assert!(admitted.iter().sum::<usize>() <= 20, "{admitted:?}");
    let error = peers[2].1.last().unwrap()["error"].as_str().unwrap();
    assert!(error.contains("all plugins together use the engine's 2000000 bytes"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_bounds_what_it_holds_for_its_engine() {
    let plugin = Plugin::new("p").method("take", |_: String| async { std::future::pending::<()>().await });
    let config = ClientConfig::default().memory_limit(LIMIT);
    let (_client, mut peer) = plugin_with_scripted_engine(plugin, config, false).await;
    let error = exceed_with_arguments(&mut peer, 1, "p").await;
    assert!(error.starts_with("Cannot call take of p, because p uses too much memory: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn messages_in_transit_are_set_aside() {
    for (max_message, limit) in [(BLOB, LIMIT - 2 * BLOB), (5 * BLOB, 10 * BLOB), (10 * BLOB, 20 * BLOB)] {
        let plugin = Plugin::new("p").method("take", |_: String| async { std::future::pending::<()>().await });
        let (mut peer, link) = scripted_link_over(Transport { max_message: Some(max_message), ..Transport::default() });
        let (_client, link) = connect(link, plugin, ClientConfig::default().memory_limit(LIMIT));
        tokio::spawn(link);
        peer.perform_handshake("p", false).await;
        for id in 1..41 {
            peer.send(request(id, "p", "take", json!([blob()])));
        }
        let refused = drain(&mut peer).await;
        let error = refused[0]["error"].as_str().unwrap();
        assert!(error.contains(&format!("of {limit} bytes are in use")), "{error}");
        assert_eq!(40 - refused.len(), limit / (BLOB + 2063), "{max_message}");
    }
}
