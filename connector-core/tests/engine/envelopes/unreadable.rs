//! Unreadable requests and responses: the peer that waits is answered at once.

use std::time::Duration;

use connector_core::CallError;
use serde_json::json;

use super::{BothEnds, head};
use crate::support::soon;

/// Requests that are broken in various ways.
const BROKEN: [&str; 10] = [
    r#"{"action":"request","id":"a","name":"n","key":"k","payload":[NaN]}"#,
    r#"{"action":"request","id":"a","name":"n","key":"k","payload":[1e999,-Infinity],"later":1}"#,
    r#"{"action":"call","id":"a","name":"n","key":"k","payload":[}"#,
    r#"{"action":"request","id":"a","name":"n","key":"k","payload":["cut off"#,
    r#"{"payload":{"a":NaN,"id":7},"action":"request","id":"a","name":"n","key":"k"}"#,
    r#"{"action":"request","id":"a","name":"n","key":"k"} {"action":"request"}"#,
    r#"{"action":"dance","id":"a","name":"n","key":"k"}"#,
    r#"{"action":5,"id":"a","name":"n","key":"k","payload":[]}"#,
    r#"{"action":null,"id":"a","name":"n","key":"k","payload":[]}"#,
    r#"{"action":"\ud83d","id":"a","name":"n","key":"k","payload":[]}"#,
];

#[tokio::test(start_paused = true)]
async fn an_unreadable_request_is_answered_at_once() {
    let mut ends = BothEnds::new().await;
    for broken in BROKEN {
        for peer in [&mut ends.far, &mut ends.engine] {
            peer.send_text(broken);
            let answer = peer.recv().await;
            let error = answer["error"].as_str().unwrap().to_owned();
            assert!(error.starts_with("it cannot be read: "), "{broken}: {error}");
            let expected = json!({"action": "response", "id": "a", "name": "n", "key": "k", "error": error});
            assert_eq!(answer, expected, "{broken}");
        }
    }
    let invalid = b"{\"action\":\"request\",\"id\":\"a\",\"name\":\"n\",\"key\":\"k\",\"payload\":[\"\xff\"]}";
    for padding in [0, 100_000] {
        ends.far.send_text([&invalid[..], &b" ".repeat(padding)].concat());
        assert_eq!(head(&mut ends.far).await, r#"{"action":"response","id":"a","name":"n","key":"k"}"#);
    }
    assert!(ends.far.all().await.is_empty() && ends.engine.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_ends_at_once_if_its_response_is_unreadable() {
    let mut ends = BothEnds::new().await;
    for rest in
        [r#","payload":NaN}"#, r#","payload":[Infinity],"name":"far"}"#, r#","payload":[""#, r#","payload":1}}"#]
    {
        for (peer, call) in ends.start_calls() {
            let id = peer.recv().await["id"].take();
            peer.send_text(format!(r#"{{"action":"response","id":{id}{rest}"#));
            let error = soon(call).await.unwrap().unwrap_err();
            assert!(
                matches!(&error, CallError::Plugin(_)) && error.to_string().contains("it cannot be read"),
                "{error}"
            );
        }
    }
    // Unsolicited and unrecognizable messages affect nothing else.
    let call = ends.host.start::<i64>("far", "m", ());
    let id = ends.far.recv().await["id"].take();
    for text in [
        r#"{"action":"response","id":"x","payload":NaN}"#.to_owned(),
        format!(r#"{{"action":"emit","id":{id},"payload":NaN}}"#),
    ] {
        ends.far.send_text(text);
    }
    assert!(ends.far.all().await.is_empty() && !call.is_finished());
    tokio::time::sleep(Duration::from_secs(1)).await;
    ends.far.send(json!({"action": "response", "id": id, "payload": 1}));
    assert_eq!(soon(call).await.unwrap().unwrap(), 1);
}
