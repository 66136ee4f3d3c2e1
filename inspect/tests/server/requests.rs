//! What a viewer can do.

use connector_core::{Json, Plugin};
use connector_inspect::{Capture, ServeOptions, serve};
use serde_json::json;

use crate::support::{Viewer, calls_allowed, engine};

#[tokio::test]
async fn a_call_returns_its_result_or_its_error() {
    let (engine, _app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewer = Viewer::connect(&inspector).await;
    assert_eq!(viewer.ok("call", json!({ "plugin": "calc", "method": "add", "args": [1, 2] })).await, 3);
    assert_eq!(viewer.ok("call", json!({ "plugin": "calc", "method": "caller" })).await, "inspector");
    let failed = viewer.request("call", json!({ "plugin": "calc", "method": "divide", "args": [1, 0] })).await;
    assert_eq!((&failed["error"], &failed["code"]), (&json!("cannot divide by zero"), &json!("plugin")));
    assert!(failed["took"].is_u64());
    for (members, code) in [
        (json!({ "plugin": "calc", "method": "missing" }), "refused"),
        (json!({ "plugin": "missing", "method": "x" }), "refused"),
        (json!({ "plugin": "calc", "method": "hang", "timeout": 10 }), "timedOut"),
        (json!({ "plugin": "calc", "method": "add", "args": 1 }), "request"),
        (json!({ "plugin": "calc" }), "request"),
    ] {
        assert_eq!(viewer.code("call", members.clone()).await, code, "{members}");
    }
    // A large result is cut.
    let large = viewer.request("call", json!({ "plugin": "calc", "method": "text", "args": [2_000_000] })).await;
    assert_eq!((&large["cut"], large["ok"].as_str().unwrap().len()), (&json!(2_000_002), 1 << 20));
}

#[tokio::test]
async fn a_call_can_be_cancelled() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewer = Viewer::connect(&inspector).await;
    let hangs = viewer.send("call", json!({ "plugin": "calc", "method": "hang" })).await;
    // The same id again is refused, and the first call continues.
    viewer.send("call", json!({ "id": hangs, "plugin": "calc", "method": "add" })).await;
    assert_eq!(viewer.response(hangs).await["code"], "request");
    assert_eq!(viewer.ok("cancel", json!({ "call": hangs })).await, true);
    assert_eq!(viewer.response(hangs).await["code"], "cancelled");
    assert_eq!(viewer.ok("cancel", json!({ "call": hangs })).await, false);
    // Its turn is over.
    assert_eq!(app.call::<i64>("calc", "add", (1, 2)).await.unwrap(), 3);
}

#[tokio::test]
async fn events_reach_the_viewer_until_it_unlistens() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewer = Viewer::connect(&inspector).await;
    let listen = viewer.send("listen", json!({ "plugin": "calc", "event": "ticked" })).await;
    assert_eq!(viewer.response(listen).await["ok"], true);
    for number in [1, 2] {
        app.call::<()>("calc", "tick", (number,)).await.unwrap();
        let event = viewer.next("event").await;
        assert_eq!((&event["listen"], &event["args"]), (&json!(listen), &json!([number])));
    }
    assert_eq!(viewer.ok("unlisten", json!({ "listen": listen })).await, true);
    app.call::<()>("calc", "tick", (3,)).await.unwrap();
    // The viewer emits in the inspector's name.
    let own = viewer.send("listen", json!({ "plugin": "inspector", "event": "said" })).await;
    viewer.response(own).await;
    viewer.ok("emit", json!({ "event": "said", "args": ["hello"] })).await;
    let event = viewer.next("event").await;
    assert_eq!((&event["listen"], &event["args"]), (&json!(own), &json!(["hello"])));
    // A subscription that ends otherwise is reported.
    viewer.ok("deactivate", json!({ "plugin": "inspector" })).await;
    assert_eq!(viewer.next("ended").await["listen"], json!(own));
}

#[tokio::test]
async fn a_request_that_is_wrong_gets_an_error_and_does_not_end_the_connection() {
    let (engine, _app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewer = Viewer::connect(&inspector).await;
    let with_id = "{\"type\":1,\"id\":1}";
    for text in ["", "[]", "{", "{\"type\":\"call\"}", "{\"type\":\"call\",\"id\":{}}", with_id] {
        viewer.send_text(text.to_owned()).await.unwrap();
        let response = viewer.next("result").await;
        let id = if text == with_id { json!(1) } else { json!(null) };
        assert_eq!((&response["id"], &response["code"]), (&id, &json!("request")), "{text}");
    }
    for kind in ["", "unknown", "cancel", "unlisten", "listen", "plugin"] {
        assert_eq!(viewer.code(kind, json!({})).await, "request", "{kind}");
    }
    viewer.ok("feed", json!({})).await;
}

#[tokio::test]
async fn details_list_methods_callers_events_and_the_profile() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewer = Viewer::connect(&inspector).await;
    app.call::<i64>("calc", "add", (1, 2)).await.unwrap();
    app.call::<f64>("calc", "divide", (1, 0)).await.unwrap_err();
    app.call::<()>("calc", "missing", ()).await.unwrap_err();
    app.call::<()>("calc", "tick", (1,)).await.unwrap();
    let details = viewer.ok("plugin", json!({ "plugin": "calc" })).await;
    assert_eq!(details["profile"]["name"], "calc");
    let method =
        |name: &str| details["methods"].as_array().unwrap().iter().find(|method| method["name"] == name).unwrap();
    assert_eq!((&method("add")["calls"], &method("add")["exposed"]), (&json!(1), &json!(true)));
    assert_eq!(method("add")["callers"][0]["name"], "app");
    assert_eq!(method("add")["latency"].as_array().unwrap().len(), 1);
    assert_eq!(method("divide")["lastError"]["text"], "cannot divide by zero");
    assert_eq!((&method("hang")["calls"], &method("_OTHER")["exposed"]), (&json!(0), &json!(false)));
    assert_eq!((&details["events"][0]["name"], &details["events"][0]["count"]), (&json!("ticked"), &json!(1)));
    assert_eq!(viewer.code("plugin", json!({ "plugin": "missing" })).await, "refused");
}

#[tokio::test]
async fn records_are_fed_as_they_come_and_can_be_paged() {
    let (engine, app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewer = Viewer::connect(&inspector).await;
    for number in 0..10 {
        app.call::<i64>("calc", "add", (number, 1)).await.unwrap();
    }
    viewer.ok("feed", json!({ "filter": { "kinds": ["callEnded"], "failed": true } })).await;
    app.call::<i64>("calc", "add", (1, 1)).await.unwrap();
    app.call::<f64>("calc", "divide", (1, 0)).await.unwrap_err();
    let records = viewer.next("records").await;
    assert_eq!(records["missed"], 0);
    let records = records["records"].as_array().unwrap();
    assert_eq!((records.len(), &records[0]["key"], &records[0]["outcome"]), (1, &json!("divide"), &json!("failed")));
    let filter = json!({ "plugin": "calc", "kinds": ["callQueued"] });
    let last = viewer.ok("history", json!({ "limit": 3, "filter": filter })).await;
    let args = |page: &serde_json::Value| -> Vec<_> {
        page["records"].as_array().unwrap().iter().map(|record| record["data"].clone()).collect()
    };
    assert_eq!((args(&last), &last["more"]), (vec![json!([9, 1]), json!([1, 1]), json!([1, 0])], &json!(true)));
    let before = viewer.ok("history", json!({ "before": last["records"][0]["seq"], "filter": filter })).await;
    assert_eq!((args(&before).len(), &before["more"], &before["first"]), (9, &json!(false), &json!(1)));
    viewer.ok("feed", json!({ "filter": null })).await;
}

#[tokio::test]
async fn what_is_redacted_reaches_no_viewer() {
    let (engine, app) = engine().await;
    let capture = Capture::new().redact(["/0", "/password"]);
    let options = ServeOptions::default().allow_calls(true).capture(capture);
    let inspector = serve(&engine, options).await.unwrap();
    let mut viewer = Viewer::connect(&inspector).await;
    app.on("app", "opened", |_: String| {}).unwrap();
    viewer.ok("listen", json!({ "plugin": "app", "event": "opened" })).await;
    app.emit("opened", ("s3cret",)).await.unwrap();
    assert_eq!(viewer.next("event").await["args"], json!(["…"]));
    let history = viewer.ok("history", json!({})).await;
    assert!(!history.to_string().contains("s3cret") && history["records"].as_array().unwrap().len() > 1, "{history}");
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_answered_with_its_id() {
    let (engine, _app) = engine().await;
    let inspector = calls_allowed(&engine).await;
    let mut viewer = Viewer::connect(&inspector).await;
    assert_eq!(viewer.code("call", json!({ "plugin": "calc", "method": "add", "timeout": 1.5 })).await, "request");
}

#[tokio::test]
async fn secrets_are_not_shown_in_the_last_error() {
    let (engine, app) = engine().await;
    let failing = || async { Err::<(), _>(Json(json!({ "password": "s3cret", "code": 3 }))) };
    engine.register(Plugin::new("vault").method("open", failing)).unwrap();
    let options = ServeOptions::default().capture(Capture::new().redact(["/password"]));
    let inspector = serve(&engine, options).await.unwrap();
    app.call::<()>("vault", "open", ()).await.unwrap_err();
    let mut viewer = Viewer::connect(&inspector).await;
    let details = viewer.ok("plugin", json!({ "plugin": "vault" })).await;
    assert_eq!(details["methods"][0]["lastError"]["text"], r#"{"code":3,"password":"…"}"#);
}
