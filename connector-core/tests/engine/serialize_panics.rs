//! A value whose `Serialize` panics fails its own message only.

use connector_core::{ClientConfig, Json, Plugin};
use serde::{Serialize, Serializer};
use serde_json::json;

use crate::scripted_peer::plugin_with_scripted_engine;
use crate::support::{Host, Notes, settle, soon};

struct Glass;

impl Serialize for Glass {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("of glass")
    }
}

fn fragile() -> Plugin {
    Plugin::new("p").method("m", || async { Json(Glass) })
}

#[tokio::test(start_paused = true)]
async fn arguments_fail_the_call_and_keep_the_link() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &["m"], false).await;
    let error = soon(host.local.call::<i64>("far", "m", (Glass,))).await.unwrap_err();
    assert!(error.to_string().contains("its Serialize panicked: of glass"), "{error}");
    host.assert_calls_reach(&mut peer, "far", "m").await;
}

#[tokio::test(start_paused = true)]
async fn a_result_becomes_an_error_at_both_ends() {
    let host = Host::new().await;
    host.engine.register(fragile()).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    let (mut engines_peer, _peers) = host.add_scripted("far", &["m"], false).await;
    let (_client, mut plugins_peer) = plugin_with_scripted_engine(fragile(), ClientConfig::default(), false).await;
    for peer in [&mut engines_peer, &mut plugins_peer] {
        for id in 1..4 {
            peer.send(json!({"action": "request", "id": id, "name": "p", "key": "m", "payload": []}));
        }
        for id in 1..4 {
            let answer = peer.recv().await;
            let error = answer["error"].as_str().unwrap_or_default();
            assert!(answer["id"] == id && error.contains("its Serialize panicked: of glass"), "{answer}");
        }
    }
    let error = soon(host.local.call::<i64>("p", "m", ())).await.unwrap_err();
    assert!(error.to_string().contains("of glass"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_event_is_dropped_and_later_ones_arrive() {
    let (host, notes) = (Host::new().await, Notes::default());
    let (mut peer, mut peers) = host.add_subscriber("on").await;
    let called = notes.clone();
    host.local.on("local", "e", move |_: u8| called.add("called")).unwrap();
    for _ in 0..2 {
        host.local.emit("e", (1,)).await.unwrap();
        host.local.emit("e", (Glass,)).await.unwrap();
    }
    assert_eq!(notes.take().len(), 2);
    let numbers: Vec<_> = peer.all().await.into_iter().map(|event| event["payload"][0].clone()).collect();
    assert_eq!(numbers, [json!(1), json!(1)]);
    // It is the stored event of the next subscriber.
    peer.send(json!({"action": "off", "name": "local", "key": "e"}));
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    host.local.emit("e", (2,)).await.unwrap();
    assert_eq!(peer.recv().await["payload"], json!([2]));
    assert!(peers.none(), "the link was lost");
}
