//! Whole numbers written as floats, as JavaScript and Python may send them: arguments, results, events.

use std::collections::HashMap;

use connector_core::{CallError, Json, Payload, Plugin};
use serde_json::{Value, json};

use crate::scripted_peer::plugin_with_scripted_engine;
use crate::support::{Host, Notes, settle};

#[derive(serde::Serialize, serde::Deserialize)]
struct Order {
    id: u64,
    pieces: Vec<u8>,
    at: Option<(i32, i128)>,
    left: HashMap<String, usize>,
}

fn methods(name: &str) -> Plugin {
    Plugin::new(name)
        .method("add", |a: i64, b: u8| async move { a + i64::from(b) })
        .method("order", |order: Order| async move { Json(order) })
        .method("half", |of: f64| async move { of / 2.0 })
        .method("same", |value: Value| async move { value })
}

async fn both() -> (Host, [&'static str; 2]) {
    let host = Host::new().await;
    host.add(|| methods("far")).await;
    host.engine.register(methods("near")).unwrap();
    (host, ["far", "near"])
}

#[tokio::test(start_paused = true)]
async fn integer_parameters_accept_any_notation_of_a_whole_number() {
    let (host, targets) = both().await;
    let (mut caller, _peers) = host.add_scripted("caller", &[], false).await;
    for target in targets {
        assert_eq!(host.local.call::<i64>(target, "add", (3.0, 1e2)).await.unwrap(), 103, "{target}");
        caller.send_text(format!(r#"{{"action":"request","id":1,"name":"{target}","key":"add","payload":[1e3,2.0]}}"#));
        assert_eq!(caller.recv().await["payload"], 1002, "{target}");
        let order = json!({"id": 7.0, "pieces": [1.0, 2, 3e0], "at": [-4.0, 5.0], "left": {"a": 6.0}});
        let order: Value = host.local.call(target, "order", (order,)).await.unwrap();
        assert_eq!(order, json!({"id": 7, "pieces": [1, 2, 3], "at": [-4, 5], "left": {"a": 6}}), "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn invalid_integers_are_rejected_with_the_arguments_position() {
    let (host, targets) = both().await;
    for target in targets {
        for (args, why) in [
            ("[3.5, 1]", "add: argument 1: invalid type: floating point `3.5`, expected i64"),
            ("[3.0, 256.0]", "add: argument 2: invalid value: integer `256`, expected u8"),
            ("[3.0, -1.0]", "add: argument 2: invalid value: integer `-1`, expected u8"),
            ("[1e300, 1]", "add: argument 1: invalid type: floating point `1e+300`, expected i64"),
        ] {
            let args = Payload::from_json(args).unwrap();
            let error: CallError = host.local.call::<i64>(target, "add", args).await.unwrap_err();
            assert_eq!(error.to_string(), why, "{target}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_is_read_as_an_integer_too() {
    let (host, targets) = both().await;
    for target in targets {
        assert_eq!(host.local.call::<i64>(target, "half", (6,)).await.unwrap(), 3, "{target}");
        assert_eq!(host.local.call::<Option<u8>>(target, "half", (6,)).await.unwrap(), Some(3), "{target}");
        let error = host.local.call::<i64>(target, "half", (7,)).await.unwrap_err();
        assert!(matches!(&error, CallError::Result(wrong) if wrong.to_string().contains("3.5")), "{target} {error:?}");
        // Other numbers are unchanged.
        assert_eq!(host.local.call::<Value>(target, "same", (3.0,)).await.unwrap(), json!(3.0), "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_events_arguments_are_read_as_integers_too() {
    let (host, notes) = (Host::new().await, Notes::default());
    let speaker = host.engine.register(Plugin::new("speaker")).unwrap();
    host.engine.manager().activate("speaker").await.unwrap();
    let (received, noted) = (notes.clone(), notes.clone());
    host.local.on("speaker", "e", move |n: i64, more: Option<Vec<u16>>| received.add(json!([n, more]))).unwrap();
    speaker.emit("e", (3.0, vec![1.0, 2.0])).await.unwrap();
    let (client, engine) = plugin_with_scripted_engine(Plugin::new("p"), Default::default(), true).await;
    client.on("x", "e", move |n: u8| noted.add(n)).unwrap();
    engine.send_text(r#"{"action":"notification","name":"x","key":"e","payload":[4.0]}"#);
    settle().await;
    assert_eq!(notes.take(), [json!([3, [1, 2]]), json!(4)]);
}
