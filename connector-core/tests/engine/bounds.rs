//! Names, lists and profiles that a plugin chooses have bounds.

use connector_core::{CallError, ClientConfig, Engine, Plugin, PluginOptions, Refusal, RegisterError};
use serde_json::{Value, json};

use crate::scripted_peer::{Peer, plugin_with_scripted_engine};
use crate::support::{Host, settle};

async fn ask(peer: &mut Peer, target: &str, method: &str, args: Value) -> Value {
    peer.send(json!({"action": "request", "id": 1, "name": target, "key": method, "payload": args}));
    peer.recv().await
}

#[tokio::test(start_paused = true)]
async fn a_long_name_is_refused_and_echoed() {
    let host = Host::new().await;
    host.engine.register(Plugin::new("one").method("m", || async {})).unwrap();
    let (mut peer, _peers) = host.add_scripted("p", &[], false).await;
    let long = "x".repeat(1025);
    for (target, method) in [("one", &*long), (&*long, "m")] {
        let response = ask(&mut peer, target, method, json!([])).await;
        assert_eq!(response["error"], "Cannot call or listen to a name of 1025 bytes: names have at most 1024");
        assert_eq!((response["name"].as_str(), response["key"].as_str()), (Some(target), Some(method)), "echoed whole");
    }
    let error = host.local.on("one", &long, || {}).unwrap_err();
    assert!(matches!(&error, CallError::Refused(why) if matches!(**why, Refusal::NameTooLong { length: 1025, .. })));
    host.local.on("one", &long[1..], || {}).unwrap();
    let error = Engine::new().register(Plugin::new(long)).unwrap_err();
    assert_eq!(error, RegisterError::NameTooLong { length: 1025, limit: 1024 });
}

#[tokio::test(start_paused = true)]
async fn an_error_quotes_only_the_beginning_of_a_long_name() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("p", &[], false).await;
    peer.send(json!({"action": "request", "id": 1, "name": "x".repeat(100_000), "key": 5}));
    let response = peer.recv().await;
    let error = response["error"].as_str().unwrap();
    assert!(error.contains("xx…\" from \"p\"") && error.len() < 1500, "{}", error.len());
    assert_eq!(response["name"].as_str().map(str::len), Some(100_000));
}

/// Of refusals before and after the name is checked, and of errors that quote a value.
#[tokio::test(start_paused = true)]
async fn every_refusal_of_a_call_quotes_only_the_beginning_of_a_long_text() {
    const LONG: usize = 100_000;
    let long = "x".repeat(LONG);
    let assert_cut = |response: &Value, begins: &str| {
        let error = response["error"].as_str().unwrap();
        assert!(error.contains(begins) && error.len() < 4000, "{} bytes: {}", error.len(), &error[..100]);
    };
    let host = Host::new().await;
    let options = PluginOptions::default().max_calls(1).memory_limit(1_000_000);
    host.engine.register(Plugin::new("one").method("never", std::future::pending::<()>)).unwrap();
    let (mut peer, _peers) = host.add_scripted_with(options, "p", &[], false).await;
    assert_cut(&ask(&mut peer, "manager", "activatePlugin", json!([long])).await, "Cannot active plugin xx");
    assert_cut(&ask(&mut peer, "manager", "updateProfile", json!([{"name": long}])).await, "xx");
    let update = json!([{"name": "p", "version": [long]}]);
    assert_cut(&ask(&mut peer, "manager", "updateProfile", update).await, "invalid type");
    let update = json!([{"name": "p", "methods": long}]);
    assert_cut(&ask(&mut peer, "manager", "updateProfile", update).await, "invalid type");
    assert_cut(&ask(&mut peer, "manager", "isActive", json!([{ &*long: 1 }])).await, "invalid");
    peer.send(json!({"action": "request", "id": 0, "name": "one", "key": "never", "payload": []}));
    settle().await;
    let response = ask(&mut peer, "one", &long, json!([])).await;
    assert_cut(&response, "is busy");
    assert_eq!(response["key"].as_str().map(str::len), Some(LONG), "echoed whole");

    let config = ClientConfig::default().max_running(1);
    let plugin = Plugin::new("p").method("never", std::future::pending::<()>).method("number", async |n: i64| n);
    let (_client, mut engine) = plugin_with_scripted_engine(plugin, config, false).await;
    assert_cut(&ask(&mut engine, "p", &long, json!([])).await, "Method xx");
    assert_cut(&ask(&mut engine, "p", "number", json!([long])).await, "invalid type: string");
    engine.send(json!({
        "action": "request", "id": 2, "name": "p", "key": "m", "payload": [],
        "requestInfo": {"from": "a", "path": format!("p.{long}")},
    }));
    assert_cut(&engine.recv().await, "Method xx");
    engine.send(json!({"action": "request", "id": 0, "name": "p", "key": "never", "payload": []}));
    settle().await;
    assert_cut(&ask(&mut engine, "p", &long, json!([])).await, "is busy");
}

#[tokio::test(start_paused = true)]
async fn a_handshake_with_too_many_methods_fails() {
    let too_many: Vec<_> = (0..10_001).map(|n| n.to_string()).collect();
    let too_large: Vec<_> = (0..300).map(|n| format!("{n:01000}")).collect();
    for (methods, why) in [
        (too_many, "it lists 10001 methods, and may list at most 10000"),
        (too_large, "the names of its methods have 300000 bytes, and may have at most 262144"),
        (vec!["x".repeat(1025)], "it lists a method whose name is longer than 1024 bytes"),
    ] {
        let host = Host::new().await;
        let (activated, mut peer, _peers) = host.start_scripted("p").await;
        let request = peer.recv().await;
        peer.answer(&request, json!(methods));
        let error = activated.await.unwrap().unwrap_err();
        assert_eq!(error.to_string(), format!("plugin \"p\" refused the handshake: {why}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_list_of_methods_is_cut_in_errors() {
    let host = Host::new().await;
    let methods: Vec<_> = (0..5000).map(|n| format!("method{n}")).collect();
    let methods: Vec<_> = methods.iter().map(String::as_str).collect();
    let (_peer, _peers) = host.add_scripted("p", &methods, false).await;
    let error = host.local.call::<()>("p", "missing", ()).await.unwrap_err().to_string();
    assert!(error.contains("Here is the list of exposed methods: \"method0\",\"method1\","), "{}", &error[..300]);
    assert!(error.ends_with(" more") && error.len() < 10_000, "{}", error.len());
}

#[tokio::test(start_paused = true)]
async fn updates_cannot_make_a_profile_grow_without_bound() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("p", &["m"], false).await;
    let mut refused = 0;
    for n in 0..40 {
        let field = format!("field{n}");
        let response = ask(&mut peer, "manager", "updateProfile", json!([{field: "x".repeat(100_000)}])).await;
        if let Some(error) = response["error"].as_str() {
            assert!(error.starts_with("the profile would have ") && error.ends_with("at most 524288"), "{error}");
            refused += 1;
        }
    }
    assert_eq!(refused, 35);
    let response = ask(&mut peer, "manager", "updateProfile", json!([{"field": "x".repeat(15 << 20)}])).await;
    assert!(response["error"].as_str().unwrap().starts_with("the profile would have "));
    let methods: Vec<_> = (0..10_001).map(|n| n.to_string()).collect();
    let response = ask(&mut peer, "manager", "updateProfile", json!([{"methods": methods}])).await;
    let error = response["error"].as_str().unwrap();
    assert_eq!(error, "the update is not a valid profile: it lists 10001 methods, and may list at most 10000");
}

#[tokio::test(start_paused = true)]
async fn a_request_may_not_name_any_number_of_plugins() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("p", &[], false).await;
    for method in ["activatePlugin", "deactivatePlugin"] {
        let response = ask(&mut peer, "manager", method, json!([vec!["x"; 1_000_000]])).await;
        let error = "1000000 plugins are too many for one request: split it into requests of at most 1000";
        assert_eq!(response["error"], error);
        let response = ask(&mut peer, "manager", method, json!([5])).await;
        let error = response["error"].as_str().unwrap();
        assert!(error.contains("expected a name or a list of names"), "{error}");
    }
    assert!(ask(&mut peer, "manager", "deactivatePlugin", json!([vec!["x"; 1000]])).await["error"].is_null());
}

#[tokio::test(start_paused = true)]
async fn event_names_are_freed_with_the_listener() {
    let host = Host::new().await;
    let options = PluginOptions::default().memory_limit(100_000);
    let (peer, mut peers) = host.add_scripted_with(options, "p", &["m"], false).await;
    let subscribe = |peer: &Peer| {
        for n in 0..1500 {
            peer.send(json!({"action": "on", "name": "local", "key": format!("{n:01000}")}));
        }
    };
    subscribe(&peer);
    settle().await;
    let activity = async |peer: &mut Peer| {
        // Each event that has a subscriber arrives.
        let mut events = 0;
        for n in 0..1500 {
            host.local.emit(&format!("{n:01000}"), ()).await.unwrap();
            events += peer.all().await.len();
        }
        events
    };
    let mut peer = peer;
    assert_eq!(activity(&mut peer).await, 65, "each takes 1,500 bytes of 100,000");

    host.engine.manager().deactivate("p").await.unwrap();
    let activated = host.start_activation("p");
    let mut peer = peers.next().await;
    peer.answer_handshake(&["m"], false).await;
    activated.await.unwrap().unwrap();
    assert_eq!(activity(&mut peer).await, 0);
    subscribe(&peer);
    settle().await;
    assert_eq!(activity(&mut peer).await, 2 * 65, "as many as before, each with its stored occurrence");
}
