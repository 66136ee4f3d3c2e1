//! Many viewers, viewers that do not read, and large engines.

use std::time::Duration;

use connector_core::{Engine, Plugin};
use connector_inspect::{Filter, ServeOptions, serve};
use serde_json::json;

use crate::support::{Known, Viewer, calls_allowed, engine, within};

#[tokio::test]
async fn seven_pages_at_once_are_all_live() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewers = Vec::new();
    for _ in 0..7 {
        let mut viewer = Viewer::connect(&inspector).await;
        viewer.ok("feed", json!({ "filter": { "kinds": ["callEnded"] } })).await;
        viewers.push(viewer);
    }
    app.call::<i64>("calc", "add", (1, 2)).await.unwrap();
    for viewer in &mut viewers {
        assert_eq!(viewer.next("records").await["records"][0]["key"], "add");
        let mut known = Known::default();
        known
            .until(viewer, |known| known.plugins.get("calc").is_some_and(|calc| calc["statistics"]["calls"] == 1))
            .await;
        assert_eq!(viewer.ok("call", json!({ "plugin": "calc", "method": "add", "args": [2, 3] })).await, 5);
    }
}

#[tokio::test]
async fn a_viewer_too_many_is_refused() {
    let (engine, _app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewers = Vec::new();
    for _ in 0..64 {
        viewers.push(Viewer::connect(&inspector).await);
    }
    let host = inspector.local_addr().to_string();
    let bearer = format!("Bearer {}", crate::support::token(&inspector));
    let headers = [
        ("Host", &*host),
        ("Authorization", &bearer),
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let (status, response) = crate::support::http(&inspector, "/ws", &headers).await;
    assert!(status == 503 && response.contains("close a page of the inspector"), "{status} {response}");
    drop(viewers.pop());
    within(async { while crate::support::http(&inspector, "/?token=x", &headers[..1]).await.0 != 403 {} }).await;
}

#[tokio::test]
async fn a_viewer_that_does_not_read_is_disconnected_and_holds_up_no_call() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewer = Viewer::connect(&inspector).await;
    viewer.ok("feed", json!({})).await;
    viewer.ok("listen", json!({ "plugin": "app", "event": "large" })).await;
    // More than the operating system buffers.
    for number in 0..2000 {
        app.emit("large", ("x".repeat(15_000),)).await.unwrap();
        assert_eq!(app.call::<i64>("calc", "add", (number, 1)).await.unwrap(), number + 1);
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::sleep(Duration::from_secs(11)).await;
    tokio::time::resume();
    // What was sent before can be read, and is less than what happened: then the connection has ended.
    let mut events = 0;
    while let Some(message) = viewer.read().await {
        events += u32::from(message["type"] == "event");
    }
    assert!(events < 2000, "{events}");
    Viewer::connect(&inspector).await.next("state").await;
}

#[tokio::test]
async fn a_method_name_of_a_megabyte_is_cut() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewer = Viewer::connect(&inspector).await;
    let name = "m".repeat(1 << 20);
    app.call::<()>("calc", &name, ()).await.unwrap_err();
    app.call::<()>(&name, &name, ()).await.unwrap_err();
    let history = viewer.ok("history", json!({ "filter": { "failed": true } })).await;
    assert_eq!(history["records"].as_array().unwrap().len(), 2);
    assert!(history.to_string().len() < 20_000);
    let mut known = Known::default();
    known.until(&mut viewer, |known| known.edges.len() == 1).await;
    assert!(known.messages.iter().all(|state| state.to_string().len() < 20_000));
    assert!(inspector.statistics().snapshot().plugins["_OTHER"].calls.errors == 2);
    // From the viewer it is a request like any other, up to the largest message.
    let long = json!({ "plugin": "calc", "method": "m".repeat(1_000_000) });
    assert_eq!(viewer.code("call", long).await, "refused");
}

#[tokio::test]
async fn ten_thousand_plugins_are_sent_once_and_then_only_what_changes() {
    let engine = Engine::new();
    for number in 0..10_000 {
        engine.register(Plugin::new(format!("p{number:05}")).method("ping", || async {})).unwrap();
    }
    let inspector = calls_allowed(&engine).await;
    let (mut viewer, mut known) = (Viewer::connect(&inspector).await, Known::default());
    known.until(&mut viewer, |known| known.plugins.len() == 10_002).await;
    assert!(known.messages.iter().all(|state| state.to_string().len() < 1 << 20));
    viewer.ok("call", json!({ "plugin": "p05000", "method": "ping" })).await;
    known.messages.clear();
    known.until(&mut viewer, |known| !known.plugins["p05000"]["statistics"].is_null()).await;
    let changed: usize = known.messages.iter().filter_map(|state| state["plugins"].as_array()).map(Vec::len).sum();
    assert!(changed < 5, "{changed}");
}

#[tokio::test]
async fn old_records_give_way_and_the_viewer_sees_how_many() {
    let (engine, app) = engine().await;
    engine.manager().activate("calc").await.unwrap();
    let options = ServeOptions::default().allow_calls(true).recent(30, 1 << 20);
    let inspector = serve(&engine, options).await.unwrap();
    let mut viewer = Viewer::connect(&inspector).await;
    viewer.ok("feed", json!({ "filter": { "kinds": ["callEnded"] } })).await;
    let newest = inspector.recent().newest();
    for number in 0..100 {
        app.call::<i64>("calc", "add", (number, 1)).await.unwrap();
    }
    let records = viewer.next("records").await;
    assert_eq!(records["missed"], 300 - 30, "{records}");
    assert_eq!(records["records"].as_array().unwrap().len(), 10);
    let history = viewer.ok("history", json!({ "limit": 1000 })).await;
    assert_eq!((&history["first"], history["records"].as_array().unwrap().len()), (&json!(newest + 271), 30));
}

#[tokio::test]
async fn a_history_of_large_records_comes_in_parts() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    for _ in 0..200 {
        app.call::<String>("calc", "text", (15_000,)).await.unwrap();
    }
    let mut viewer = Viewer::connect(&inspector).await;
    let (mut before, mut records) = (u64::MAX, 0);
    loop {
        let page = viewer
            .ok("history", json!({ "before": before, "limit": 1000, "filter": { "kinds": ["callEnded"] } }))
            .await;
        assert!(page.to_string().len() < 2 << 20);
        let page_records = page["records"].as_array().unwrap();
        records += page_records.len();
        before = page_records[0]["seq"].as_u64().unwrap();
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(records, 200);
}

#[test]
fn a_filter_has_each_kind_once() {
    let kinds = vec!["zz"; 100_000];
    let filter: Filter = serde_json::from_value(json!({ "kinds": kinds })).unwrap();
    assert_eq!(filter.kinds.unwrap().len(), 1);
}
