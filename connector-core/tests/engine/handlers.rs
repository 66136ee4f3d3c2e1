//! Plain functions as methods: arguments, results and panics, in the process and behind a link.

use std::collections::HashMap;

use connector_core::{CallError, Context, Fault, Json, Payload, Plugin, Rest};
use serde_json::{Value, json};

use crate::support::{Host, Notes, settle};

#[derive(serde::Serialize)]
struct Point {
    x: i32,
}

fn methods(name: &str) -> Plugin {
    Plugin::new(name)
        .method("add", |a: i64, b: i64| async move { a + b })
        .method("maybe", |a: Option<i64>, b: Option<String>| async move { Json((a, b)) })
        .method("rest", |first: String, rest: Rest| async move { Json((first, rest)) })
        .method("divide", |a: f64, b: f64| async move { if b == 0.0 { Err("by zero") } else { Ok(a / b) } })
        .method("point", || async { Json(Point { x: 1 }) })
        .method("fault", || async {
            Err::<(), _>(Fault::from_payload(Payload::new(json!({"code": 5, "message": "five"}))))
        })
        .method("empty", || async { Err::<(), _>(String::new()) })
        .method("panics", || async {
            if true {
                panic!("at the disco")
            }
        })
        .method("panicsAtOnce", |yes: bool| {
            assert!(!yes, "at once");
            async {}
        })
        .method("unwritable", || async { HashMap::from([((1, 2), 3)]) })
        .method("whoami", |ctx: Context| async move { format!("{} {} {}", ctx.from(), ctx.path(), ctx.method()) })
}

/// The plugin behind a link, and in the engine.
async fn both() -> (Host, [&'static str; 2]) {
    let host = Host::new().await;
    host.add(|| methods("far")).await;
    host.engine.register(methods("near")).unwrap();
    (host, ["far", "near"])
}

async fn error(host: &Host, target: &str, method: &str, args: Value) -> String {
    match host.local.call::<Value>(target, method, Payload::new(args)).await.unwrap_err() {
        CallError::Plugin(fault) => fault.to_string(),
        other => panic!("{target}: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn extra_arguments_are_ignored_and_missing_ones_are_null() {
    let (host, targets) = both().await;
    for target in targets {
        assert_eq!(host.local.call::<i64>(target, "add", (1, 2, "more")).await.unwrap(), 3);
        assert_eq!(host.local.call::<Value>(target, "maybe", (1,)).await.unwrap(), json!([1, null]));
        assert_eq!(host.local.call::<Value>(target, "maybe", ()).await.unwrap(), json!([null, null]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_argument_is_reported_with_method_position_and_type() {
    let (host, targets) = both().await;
    for target in targets {
        let wrong = error(&host, target, "add", json!([1, "two"])).await;
        assert_eq!(wrong, "add: argument 2: invalid type: string \"two\", expected i64");
        let missing = error(&host, target, "add", json!([1])).await;
        assert_eq!(missing, "add: missing argument 2: expected i64");
        let null = error(&host, target, "add", json!([1, null])).await;
        assert_eq!(null, "add: argument 2: invalid type: null, expected i64");
        let no_list = error(&host, target, "add", json!({"a": 1})).await;
        assert_eq!(no_list, "add: invalid type: map, expected an array of arguments");
        assert_eq!(
            error(&host, target, "add", json!(null)).await,
            "add: invalid type: null, expected an array of arguments"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn rest_takes_the_remaining_arguments() {
    let (host, targets) = both().await;
    for target in targets {
        let back: Value = host.local.call(target, "rest", ("a", 1, vec![2])).await.unwrap();
        assert_eq!(back, json!(["a", [1, [2]]]));
        assert_eq!(host.local.call::<Value>(target, "rest", ("a",)).await.unwrap(), json!(["a", []]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_type_gives_its_value_or_the_errors_text() {
    let (host, targets) = both().await;
    for target in targets {
        assert_eq!(host.local.call::<f64>(target, "divide", (1.0, 2.0)).await.unwrap(), 0.5);
        assert_eq!(error(&host, target, "divide", json!([1.0, 0.0])).await, "by zero");
        assert_eq!(host.local.call::<Value>(target, "point", ()).await.unwrap(), json!({"x": 1}));
    }
}

#[tokio::test(start_paused = true)]
async fn a_fault_is_passed_on_unchanged() {
    let (host, targets) = both().await;
    for target in targets {
        let CallError::Plugin(fault) = host.local.call::<()>(target, "fault", ()).await.unwrap_err() else {
            panic!("{target}")
        };
        assert_eq!(fault.to_string(), "five");
        assert_eq!(fault.payload().clone().read::<Value>().unwrap(), json!({"code": 5, "message": "five"}));
    }
}

#[tokio::test(start_paused = true)]
async fn an_empty_error_is_still_an_error() {
    let (host, targets) = both().await;
    for target in targets {
        assert!(matches!(host.local.call::<Value>(target, "empty", ()).await, Err(CallError::Plugin(_))), "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_an_error_of_its_call_only() {
    let (host, targets) = both().await;
    for target in targets {
        assert_eq!(error(&host, target, "panics", json!([])).await, "panics panicked: at the disco");
        assert_eq!(error(&host, target, "panicsAtOnce", json!([true])).await, "panicsAtOnce panicked: at once");
        assert_eq!(host.local.call::<i64>(target, "add", (1, 2)).await.unwrap(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unserializable_result_is_an_error_of_its_call_only() {
    let (host, targets) = both().await;
    let told = error(&host, "far", "unwritable", json!([])).await;
    assert!(told.starts_with("the result cannot be sent: not serializable: "), "{told}");
    let (mut caller, _peers) = host.add_scripted("caller", &[], true).await;
    for target in targets {
        caller.send(json!({"action": "request", "id": 3, "name": target, "key": "unwritable", "payload": []}));
        let answer = caller.recv().await;
        assert!(answer["error"].as_str().unwrap().starts_with("the result cannot be sent: "), "{answer}");
        assert_eq!((&answer["id"], &answer["errorKind"]), (&json!(3), &json!("plugin")));
        assert_eq!(host.local.call::<i64>(target, "add", (1, 2)).await.unwrap(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn unserializable_arguments_are_an_error_of_their_call_only() {
    let (host, _) = both().await;
    let unwritable = || (HashMap::from([((1, 2), 3)]),);
    let outcome = host.local.call::<Value>("far", "rest", unwritable()).await;
    assert!(matches!(outcome, Err(CallError::Arguments(_))), "{outcome:?}");
    assert_eq!(host.local.call::<i64>("far", "add", (1, 2)).await.unwrap(), 3);
    // In the engine, serialization happens only if the handler reads another type.
    assert!(error_of(host.local.call::<Value>("near", "rest", unwritable()).await).contains("not serializable"));

    let (client, mut engine) =
        crate::scripted_peer::plugin_with_scripted_engine(methods("p"), Default::default(), true).await;
    let outcome = client.call::<Value>("x", "y", unwritable()).await;
    assert!(matches!(outcome, Err(CallError::Arguments(_))), "{outcome:?}");
    client.emit("e", unwritable()).await.unwrap();
    client.emit("e", (1,)).await.unwrap();
    assert_eq!(engine.all().await.len(), 1, "the event that can be written");
}

fn error_of(outcome: Result<Value, CallError>) -> String {
    outcome.unwrap_err().to_string()
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_listener_is_contained() {
    let host = Host::new().await;
    let (notes, speaker) = (Notes::default(), host.engine.register(Plugin::new("speaker")).unwrap());
    host.engine.manager().activate("speaker").await.unwrap();
    host.local.on("speaker", "e", |_: Rest| panic!("not now")).unwrap();
    let other = host.engine.register(Plugin::new("other")).unwrap();
    host.engine.manager().activate("other").await.unwrap();
    other.on("speaker", "e", notes.listener()).unwrap();
    speaker.emit("e", (1,)).await.unwrap();
    speaker.emit("e", (2,)).await.unwrap();
    assert_eq!(notes.take(), [json!([1]), json!([2])]);

    let (client, engine) =
        crate::scripted_peer::plugin_with_scripted_engine(methods("p"), Default::default(), true).await;
    client.on("x", "e", |_: Rest| panic!("not now")).unwrap();
    client.on("x", "e", notes.listener()).unwrap();
    client.on("x", "e", |_: Vec<u8>| ()).unwrap();
    engine.send(json!({"action": "notification", "name": "x", "key": "e", "payload": [3]}));
    settle().await;
    assert_eq!(notes.take(), [json!([3])]);
}

#[tokio::test(start_paused = true)]
async fn a_context_knows_caller_path_and_method() {
    let (host, targets) = both().await;
    for target in targets {
        let known: String = host.local.call(target, "whoami", ()).await.unwrap();
        assert_eq!(known, format!("local {target} whoami"));
    }
}
