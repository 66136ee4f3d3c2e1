//! Whether a plugin agrees to its deactivation by another.

use std::time::Duration;

use connector_core::PluginOptions;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::scripted_peer::Transport;
use crate::support::{permissive_host as host, soon};

#[tokio::test(start_paused = true)]
async fn an_unanswered_can_deactivate_counts_as_yes() {
    // The listed methods, the response, and whether that counts as yes.
    let answers = [
        (&[][..], None, true),
        (&[][..], Some(json!({"error": "Method canDeactivate doesn't exist on plugin far"})), true),
        (&[][..], Some(json!({"error": "'canDeactivate'"})), true),
        (&[][..], Some(json!({"payload": false})), false),
        (&[][..], Some(json!({"error": "not now"})), false),
        (&[][..], Some(json!({"payload": true})), true),
        (&["canDeactivate"][..], Some(json!({"payload": true})), true),
        (&["canDeactivate"][..], Some(json!({"payload": "perhaps"})), false),
        (&["canDeactivate"][..], None, false),
    ];
    for (listed, answer, agrees) in answers {
        let host = host().await;
        let (mut peer, _peers) = host.add_scripted("far", listed, false).await;
        let (began, asked) = (Instant::now(), host.start::<Value>("manager", "deactivatePlugin", ("far",)));
        let request = peer.recv().await;
        assert_eq!(request["key"], "canDeactivate");
        let limit = if listed.is_empty() { 1 } else { 10 };
        if let Some(mut answer) = answer.clone() {
            (answer["action"], answer["id"]) = ("response".into(), request["id"].clone());
            peer.send(answer);
        }
        let outcome = asked.await.unwrap();
        assert_eq!(outcome.is_ok(), agrees, "{listed:?} {answer:?}: {outcome:?}");
        let waited = Duration::from_secs(if answer.is_none() { limit } else { 0 });
        assert!(began.elapsed() <= waited + Duration::from_millis(10), "{listed:?} {answer:?}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugin_whose_link_is_lost_does_not_object() {
    let host = host().await;
    let (mut peer, _peers) = host.add_scripted("far", &["canDeactivate"], false).await;
    let asked = host.start::<Value>("manager", "deactivatePlugin", ("far",));
    peer.recv().await;
    peer.close();
    soon(asked).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_plugin_with_a_closing_link_is_not_activated_to_ask_for_agreement() {
    let host = host().await;
    let transport = Transport { close_delay: Some(Duration::from_secs(1)), ..Transport::default() };
    let (mut peer, mut peers) =
        host.add_scripted_over(transport, PluginOptions::default(), "far", &["canDeactivate"], false).await;
    let first = host.start::<Value>("manager", "deactivatePlugin", ("far",));
    peer.answer_next(json!(true)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let second = host.start::<Value>("manager", "deactivatePlugin", ("far",));
    first.await.unwrap().unwrap();
    second.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(peers.none(), "it was dialled again");
    assert!(!host.engine.manager().is_active("far"));
}
