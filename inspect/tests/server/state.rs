//! The state that viewers see.

use conformance::memory;
use connector_core::{ExternalProfile, LinkEnd, Plugin, Registration};
use serde_json::json;

use crate::support::{Known, Viewer, calls_allowed, engine, within};

#[tokio::test]
async fn the_first_state_is_complete_and_the_next_have_what_changed() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    app.call::<i64>("calc", "add", (1, 2)).await.unwrap();
    app.call::<f64>("calc", "divide", (1, 0)).await.unwrap_err();
    let (mut viewer, mut known) = (Viewer::connect(&inspector).await, Known::default());
    known.until(&mut viewer, |known| !known.messages.is_empty()).await;
    assert_eq!(known.messages[0]["full"], true);
    assert_eq!(known.plugins.keys().collect::<Vec<_>>(), ["app", "calc", "inspector", "manager"]);
    let calc = &known.plugins["calc"];
    assert_eq!((&calc["location"], &calc["active"], &calc["link"]), (&json!("local"), &json!(true), &json!(null)));
    assert_eq!(calc["profile"]["methods"][0], "add");
    assert_eq!((&calc["statistics"]["calls"], &calc["statistics"]["errors"]), (&json!(2), &json!(1)));
    let error = &calc["statistics"]["lastError"];
    assert_eq!((&error["from"], &error["method"]), (&json!("app"), &json!("divide")));
    assert_eq!(known.edges[&("app".to_owned(), "calc".to_owned())]["calls"], 2);
    known.messages.clear();
    app.call::<i64>("calc", "add", (1, 2)).await.unwrap();
    known.until(&mut viewer, |known| known.plugins["calc"]["statistics"]["calls"] == 3).await;
    for plugin in known.messages.iter().flat_map(|state| state["plugins"].as_array().unwrap()) {
        assert_eq!(plugin["name"], "calc");
        assert_eq!(plugin.as_object().unwrap().keys().collect::<Vec<_>>(), ["name", "statistics"]);
    }
    engine.register(Plugin::new("new")).unwrap();
    engine.remove("calc").await;
    known.until(&mut viewer, |known| known.plugins.contains_key("new") && !known.plugins.contains_key("calc")).await;
}

#[tokio::test]
async fn a_call_waits_runs_and_ends() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let (mut viewer, mut known) = (Viewer::connect(&inspector).await, Known::default());
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let app = app.clone();
            tokio::spawn(async move { app.call::<()>("calc", "hang", ()).await })
        })
        .collect();
    let edge = ("app".to_owned(), "calc".to_owned());
    let counts = |known: &Known, member: &str| known.edges.get(&edge).map_or(json!(null), |edge| edge[member].clone());
    known.until(&mut viewer, |known| counts(known, "waiting") == 2 && counts(known, "running") == 1).await;
    assert_eq!(known.plugins["calc"]["statistics"]["waiting"], 2);
    calls.iter().for_each(|call| call.abort());
    known.until(&mut viewer, |known| counts(known, "dropped") == 3).await;
    assert_eq!(
        (counts(&known, "waiting"), counts(&known, "running"), counts(&known, "calls")),
        (json!(0), json!(0), json!(3))
    );
}

#[tokio::test]
async fn a_plugin_that_cannot_be_activated_shows_why_and_can_be_retried() {
    let (engine, _app) = engine().await;
    let (connector, _client, switch) = memory();
    switch.refuse_connections(true);
    let external = ExternalProfile::new("far", "ws://user:s3cret@far.example/t0ken?x=y");
    engine.register(Registration::behind(external, connector)).unwrap();
    let inspector = calls_allowed(&engine).await;
    let error = inspector.activate("far").await.unwrap_err().to_string();
    let (mut viewer, mut known) = (Viewer::connect(&inspector).await, Known::default());
    known.until(&mut viewer, |known| known.plugins.contains_key("far")).await;
    let far = &known.plugins["far"];
    assert_eq!((&far["location"], &far["error"], &far["active"]), (&json!("remote"), &json!(error), &json!(false)));
    assert_eq!(far["profile"]["url"], "ws://far.example/…");
    assert_eq!(viewer.code("activate", json!({ "plugin": "far" })).await, "activation");
    assert_eq!(viewer.code("activate", json!({ "plugin": "missing" })).await, "activation");
}

#[tokio::test]
async fn a_links_states_are_shown_with_their_history() {
    let (engine, app) = engine().await;
    let (connector, client, switch) = memory();
    tokio::spawn(async move {
        let end: LinkEnd = connector_core::serve(
            client,
            || Plugin::new("far").method("echo", |a: u8| async move { a }),
            Default::default(),
        )
        .await;
        drop(end);
    });
    engine.register(Registration::behind(ExternalProfile::new("far", "memory:far"), connector)).unwrap();
    // Its link is up before the inspector begins.
    engine.manager().activate("far").await.unwrap();
    let inspector = calls_allowed(&engine).await;
    let (mut viewer, mut known) = (Viewer::connect(&inspector).await, Known::default());
    let state = |known: &Known| known.plugins.get("far").map_or(json!(null), |far| far["link"]["state"].clone());
    known.until(&mut viewer, |known| state(known) == "up").await;
    switch.refuse_connections(true);
    switch.cut();
    known.until(&mut viewer, |known| state(known) == "down").await;
    assert!(known.plugins["far"]["link"]["text"].is_string());
    switch.refuse_connections(false);
    known.until(&mut viewer, |known| state(known) == "up").await;
    let details = viewer.ok("plugin", json!({ "plugin": "far" })).await;
    let states: Vec<_> = details["links"].as_array().unwrap().iter().map(|entry| entry["state"].clone()).collect();
    assert_eq!(states, [json!("up"), json!("down"), json!("up")]);
    let filter = json!({ "kinds": ["link"], "failed": true });
    let history = viewer.ok("history", json!({ "filter": filter })).await;
    assert!(!history["records"].as_array().unwrap().is_empty());
    assert_eq!(within(app.call::<u8>("far", "echo", (7,))).await.unwrap(), 7);
}
