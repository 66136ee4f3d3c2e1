//! Calls cancelled by dropping their future or by name.

use std::time::Duration;

use connector_core::{CallError, ClientConfig, Context, Payload, Plugin, PluginOptions, Refusal, Rest};
use serde_json::{Value, json};

use crate::scripted_peer::plugin_with_scripted_engine;
use crate::support::{Host, Notes, OnDrop, settle, soon};

/// `hang` records its start and end; `via` calls another plugin's `hang`.
fn hanging(name: &str, notes: &Notes) -> Plugin {
    let (hangs, via) = (notes.clone(), notes.clone());
    Plugin::new(name)
        .method("hang", move |what: String| {
            let notes = hangs.clone();
            async move {
                notes.add(format!("{what} starts"));
                let _end = OnDrop(notes.clone(), "dropped");
                tokio::time::sleep(Duration::from_secs(5)).await;
                notes.add(format!("{what} ends"));
            }
        })
        .method("via", move |ctx: Context, target: String, args: Rest| {
            let notes = via.clone();
            async move {
                let _end = OnDrop(notes, "via dropped");
                ctx.client().call::<Payload>(&target, "hang", args).await
            }
        })
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_drops_the_handlers_along_the_whole_chain() {
    let (host, notes) = (Host::new().await, Notes::default());
    for name in ["a", "b"] {
        let plugin = hanging(name, &notes);
        host.add_with(PluginOptions::default().concurrency(2), move || plugin.clone()).await;
    }
    let given_up = host.start::<()>("a", "via", ("b", "one"));
    let other = host.start::<()>("a", "via", ("b", "two"));
    settle().await;
    assert_eq!(notes.take(), ["one starts", "two starts"]);
    given_up.abort();
    settle().await;
    let mut dropped = notes.take();
    dropped.sort_by_key(Value::to_string);
    assert_eq!(dropped, ["dropped", "via dropped"], "both handlers of one chain");
    other.await.unwrap().unwrap();
    assert!(notes.take().contains(&json!("two ends")), "another call of the same method continues");
}

#[tokio::test(start_paused = true)]
async fn a_native_plugin_receives_a_cancel_by_id_and_its_late_response_is_dropped() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted_with(PluginOptions::default().concurrency(2), "far", &["m"], true).await;
    let (given_up, other) = (host.start::<i64>("far", "m", ()), host.start::<i64>("far", "m", ()));
    let (first, second) = (peer.recv().await, peer.recv().await);
    given_up.abort();
    assert_eq!(peer.recv().await, json!({"action": "cancel", "id": first["id"]}));
    peer.answer(&first, json!(1));
    peer.answer(&second, json!(2));
    assert_eq!(soon(other).await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_published_plugin_receives_no_cancel_and_its_late_response_is_dropped() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &["m"], false).await;
    let given_up = host.start::<i64>("far", "m", ());
    let first = peer.recv().await;
    given_up.abort();
    assert_eq!(peer.all().await, Vec::<Value>::new());
    peer.answer(&first, json!(1));
    let other = host.start::<i64>("far", "m", ());
    let second = peer.recv().await;
    peer.answer(&second, json!(2));
    assert_eq!(soon(other).await.unwrap().unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_sends_a_cancel_by_id_only_to_a_native_engine() {
    for native in [true, false] {
        let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), ClientConfig::default(), native).await;
        let call = tokio::spawn(async move { client.call::<()>("x", "y", ()).await });
        let id = engine.recv().await["id"].clone();
        call.abort();
        let expected = if native { vec![json!({"action": "cancel", "id": id})] } else { vec![] };
        assert_eq!(engine.all().await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_native_engines_cancel_drops_that_one_handler() {
    let notes = Notes::default();
    let (_client, mut engine) = plugin_with_scripted_engine(hanging("p", &notes), ClientConfig::default(), true).await;
    for id in [1, 2] {
        engine.send(json!({"action": "request", "id": id, "name": "p", "key": "hang", "payload": [id.to_string()]}));
    }
    engine.send(json!({"action": "cancel", "id": 1}));
    engine.send(json!({"action": "cancel", "id": 99}));
    engine.send(json!({"action": "cancel", "name": "p", "key": "hang"}));
    settle().await;
    assert_eq!(notes.take(), ["1 starts", "2 starts", "dropped"]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let answers = engine.all().await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0]["id"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_native_plugins_cancel_by_id_ends_that_one_call() {
    let (host, notes) = (Host::new().await, Notes::default());
    host.engine.register(hanging("near", &notes).options(PluginOptions::default().concurrency(2))).unwrap();
    let (mut caller, _peers) = host.add_scripted("caller", &[], true).await;
    for id in [1, 2] {
        let call = json!({"action": "request", "id": id, "name": "near", "key": "hang", "payload": [id.to_string()]});
        caller.send(call);
    }
    caller.send(json!({"action": "cancel", "id": 1}));
    settle().await;
    assert_eq!(notes.take(), ["1 starts", "2 starts", "dropped"]);
    tokio::time::sleep(Duration::from_secs(5)).await;
    let answers = caller.all().await;
    assert_eq!(answers.iter().map(|answer| &answer["id"]).collect::<Vec<_>>(), [&json!(2)]);
}

#[tokio::test(start_paused = true)]
async fn cancel_ends_only_the_callers_calls_of_that_method() {
    let (host, notes) = (Host::new().await, Notes::default());
    let plugin = hanging("far", &notes);
    host.add_with(PluginOptions::default().concurrency(2), move || plugin.clone()).await;
    let friend = host.engine.register(Plugin::new("friend")).unwrap();
    host.engine.manager().activate("friend").await.unwrap();
    let calls = ["runs", "waits"].map(|what| host.start::<()>("far", "hang", (what,)));
    settle().await;
    let friends = tokio::spawn(async move { friend.call::<()>("far", "hang", ("friend's",)).await });
    let waits = host.start::<()>("far", "hang", ("later",));
    settle().await;
    host.local.cancel("far", Some("via")).await.unwrap();
    settle().await;
    assert!(!calls[0].is_finished(), "another method's cancel");
    host.local.cancel("far", Some("hang")).await.unwrap();
    for call in calls.into_iter().chain([waits]) {
        let error = soon(call).await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::Cancelled(_)), "{error:?}");
        assert_eq!(error.to_string(), "[CANCEL] Canceled call hang from local");
    }
    friends.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_linked_plugin_cancels_by_name_as_published() {
    let (host, notes) = (Host::new().await, Notes::default());
    host.engine.register(hanging("near", &notes)).unwrap();
    let (mut caller, _peers) = host.add_scripted("caller", &[], false).await;
    for id in [1, 2] {
        caller.send(json!({"action": "request", "id": id, "name": "near", "key": "hang", "payload": ["x"]}));
    }
    caller.send(json!({"action": "cancel", "name": "near"}));
    let answers = caller.all().await;
    assert_eq!(answers.len(), 2);
    for answer in answers {
        assert_eq!(answer["error"], "[CANCEL] Canceled call hang from caller");
        assert_eq!(answer.get("errorKind"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handlers_spawned_task_is_notified_of_the_end_of_its_call() {
    let (host, notes) = (Host::new().await, Notes::default());
    let noted = notes.clone();
    let plugin = Plugin::new("p").method("work", move |ctx: Context, hang: bool| {
        let notes = noted.clone();
        async move {
            tokio::spawn({
                let ctx = ctx.clone();
                async move {
                    ctx.ended().await;
                    notes.add("ended");
                }
            });
            if hang {
                std::future::pending::<()>().await;
            }
        }
    });
    let (linked, limits) = (plugin.clone(), PluginOptions::default().queue_timeout(Duration::from_secs(2)));
    let switch = host.add_with(limits, move || linked.clone()).await;
    host.local.call::<()>("p", "work", (false,)).await.unwrap();
    settle().await;
    assert_eq!(notes.take(), ["ended"], "answered");
    let call = host.start::<()>("p", "work", (true,));
    settle().await;
    assert!(notes.take().is_empty());
    call.abort();
    settle().await;
    assert_eq!(notes.take(), ["ended"], "dropped");
    assert!(matches!(host.local.call::<()>("p", "work", (true,)).await, Err(CallError::TimedOut(_))));
    settle().await;
    assert_eq!(notes.take(), ["ended"], "timed out");
    let _lost = host.start::<()>("p", "work", (true,));
    settle().await;
    switch.cut();
    settle().await;
    assert_eq!(notes.take(), ["ended"], "link lost");
}

#[tokio::test(start_paused = true)]
async fn deactivating_the_target_ends_calls_to_it() {
    let (host, notes) = (Host::new().await, Notes::default());
    host.engine.register(hanging("near", &notes)).unwrap();
    let calls = ["runs", "waits"].map(|what| host.start::<()>("near", "hang", (what,)));
    settle().await;
    host.engine.manager().deactivate("near").await.unwrap();
    for call in calls {
        let error = soon(call).await.unwrap().unwrap_err();
        assert!(
            matches!(&error, CallError::Refused(refusal) if matches!(**refusal, Refusal::NotActivated { .. })),
            "{error:?}"
        );
    }
    assert_eq!(notes.take(), ["runs starts", "dropped"]);
}

/// No known peer reuses an id; if one does, all its calls are cancelled.
#[tokio::test(start_paused = true)]
async fn a_cancel_by_id_ends_every_request_of_that_id() {
    for id in [json!(1), json!("b3c1")] {
        for first_ends in [false, true] {
            let notes = Notes::default();
            let request = |what: &str, name: &str| json!({"action": "request", "id": id, "name": name, "key": "hang", "payload": [what]});
            let cancel = || json!({"action": "cancel", "id": id});
            let plugin = || {
                let noted = notes.clone();
                hanging("near", &notes).method("quick", move || {
                    noted.add("quick");
                    tokio::time::sleep(Duration::from_millis(5))
                })
            };
            let quick =
                |name: &str| json!({"action": "request", "id": id, "name": name, "key": "quick", "payload": []});
            let (_client, mut engine) = plugin_with_scripted_engine(plugin(), ClientConfig::default(), true).await;
            let host = Host::new().await;
            host.engine.register(plugin().options(PluginOptions::default().concurrency(2))).unwrap();
            let (mut caller, _peers) = host.add_scripted("caller", &[], true).await;
            let expected = vec![json!("dropped"); if first_ends { 1 } else { 2 }];
            for (end, peer) in [("the plugin's end", &mut engine), ("the engine's end", &mut caller)] {
                peer.send(request("one", "near"));
                peer.send(if first_ends { quick("near") } else { request("two", "near") });
                tokio::time::sleep(Duration::from_millis(10)).await;
                peer.all().await;
                notes.take();
                peer.send(cancel());
                settle().await;
                assert_eq!(notes.take(), expected, "at {end}: {id}");
            }
            assert!(caller.all().await.is_empty());
        }
    }
}
