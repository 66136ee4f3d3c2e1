//! A plugin's errors as read by its caller, in the process and behind a link.

use std::fmt;
use std::sync::{Arc, Mutex, mpsc};

use connector_core::{CallError, Context, Fault, Json, Payload, Plugin, PluginClient};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{Host, soon};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum MathError {
    DividedByZero,
    TooLarge { message: String, most: u64 },
}

fn too_large() -> MathError {
    MathError::TooLarge { message: "too large".to_owned(), most: 100 }
}

/// Like an anyhow error, which shows its causes in the alternate form.
struct Anyhow;

impl fmt::Display for Anyhow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if f.alternate() { "cannot save: disk full" } else { "cannot save" })
    }
}

async fn divide(a: f64, b: f64) -> Result<f64, Json<MathError>> {
    if b == 0.0 {
        Err(MathError::DividedByZero)?;
    }
    if a > 100.0 { Err(Json(too_large())) } else { Ok(a / b) }
}

fn calculator(name: &str) -> Plugin {
    Plugin::new(name)
        .method("divide", divide)
        .method("fault", || async { Err::<(), _>(Fault::typed(too_large())) })
        .method("value", || async { Err::<(), _>(json!({"code": 7})) })
        .method("text", || async { Err::<(), _>("only words") })
        .method("causes", || async { Err::<(), _>(Anyhow) })
        // A separate caller that converts another plugin's error into its own.
        .method("forward", |ctx: Context, to: String, method: String, args: Payload| async move {
            ctx.client().call::<Value>(&to, &method, args).await
        })
}

/// A plugin in the engine, one behind a link, and a caller in each location.
async fn everywhere() -> (Host, [PluginClient; 2], [&'static str; 2]) {
    let host = Host::new().await;
    host.engine.register(calculator("near")).unwrap();
    host.add(|| calculator("far")).await;
    let (tell, told) = mpsc::channel();
    let tell = Arc::new(Mutex::new(tell));
    host.add(move || {
        let tell = tell.clone();
        Plugin::new("caller").on_activation(move |client| {
            tell.lock().unwrap().send(client).unwrap();
            async {}
        })
    })
    .await;
    let callers = [host.local.clone(), told.recv().unwrap()];
    (host, callers, ["near", "far"])
}

#[tokio::test(start_paused = true)]
async fn a_typed_error_is_read_back_as_its_type() {
    let (_host, callers, targets) = everywhere().await;
    for (caller, target) in callers.iter().flat_map(|caller| targets.map(|target| (caller, target))) {
        let at = format!("{} calls {target}", caller.name());
        let error = caller.call::<f64>(target, "divide", (1, 0)).await.unwrap_err();
        assert!(matches!(error, CallError::Plugin(_)), "{at}: {error:?}");
        assert_eq!(error.plugin_error::<MathError>(), Some(MathError::DividedByZero), "{at}");
        for (method, args) in [("divide", Payload::new((1000, 1))), ("fault", Payload::no_args())] {
            let error = caller.call::<f64>(target, method, args).await.unwrap_err();
            assert_eq!(error.plugin_error(), Some(too_large()), "{at}");
            assert_eq!(error.fault().unwrap().read::<MathError>().unwrap(), too_large(), "{at}");
            assert!(error.to_string().ends_with("too large"), "{at}: {error}");
        }
        let error = caller.call::<f64>(target, "value", ()).await.unwrap_err();
        assert_eq!(error.plugin_error::<Value>(), Some(json!({"code": 7})), "{at}");
        assert_eq!(error.plugin_error::<MathError>(), None, "{at}");
        assert_eq!(caller.call::<f64>(target, "divide", (1, 2)).await.unwrap(), 0.5, "{at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_text_error_is_displayed_with_the_published_prefix_and_read_without_it() {
    let (_host, callers, targets) = everywhere().await;
    for (caller, words) in callers.iter().zip(["", "Error from IDE : "]) {
        for target in targets {
            for (method, text) in [("text", "only words"), ("causes", "cannot save: disk full")] {
                let error = caller.call::<()>(target, method, ()).await.unwrap_err();
                assert_eq!(error.to_string(), format!("{words}{text}"));
                assert_eq!(error.plugin_error::<String>().unwrap(), text);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_typed_error_survives_being_passed_on() {
    let (_host, callers, _) = everywhere().await;
    for (caller, through, target) in
        callers.iter().flat_map(|caller| [("near", "far"), ("far", "near")].map(|(a, b)| (caller, a, b)))
    {
        let error =
            soon(caller.call::<()>(through, "forward", (target, "fault", Payload::no_args()))).await.unwrap_err();
        assert_eq!(error.plugin_error(), Some(too_large()), "{} → {through} → {target}", caller.name());
    }
    // A text names the plugins it passed through, as in the published packages.
    let error = callers[0].call::<()>("far", "forward", ("near", "text", Payload::no_args())).await.unwrap_err();
    assert_eq!(error.to_string(), "Error from IDE : only words");
}

#[tokio::test(start_paused = true)]
async fn bad_arguments_are_distinct_from_the_plugins_errors() {
    let (_host, callers, targets) = everywhere().await;
    for (caller, target) in callers.iter().flat_map(|caller| targets.map(|target| (caller, target))) {
        let error = caller.call::<f64>(target, "divide", ("one", 2)).await.unwrap_err();
        let at = format!("{} calls {target}: {error:?}", caller.name());
        assert!(error.is_bad_arguments(), "{at}");
        assert!(error.to_string().contains("divide: argument 1: invalid type: string"), "{at}");
        assert!(error.plugin_error::<Value>().is_none(), "{at}");
        // Bad arguments of a call that a plugin makes are that plugin's error, not its caller's.
        let args = ("near", "divide", ("one", 2));
        let error = caller.call::<f64>(target, "forward", args).await.unwrap_err();
        assert!(matches!(&error, CallError::Plugin(_)) && !error.is_bad_arguments(), "{error:?}");
        assert!(error.to_string().contains("divide: argument 1"), "{error}");
    }
    let error = callers[1].call::<()>("manager", "isActive", (5,)).await.unwrap_err();
    assert!(error.is_bad_arguments(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn published_peers_receive_only_the_text_and_the_value() {
    let (host, ..) = everywhere().await;
    for native in [false, true] {
        let (mut caller, _peers) = host.add_scripted(if native { "new" } else { "old" }, &[], native).await;
        for (id, method, args, error, kind) in [
            (1, "divide", json!([1, 0]), json!({"kind": "DividedByZero"}), "plugin"),
            (2, "text", json!([]), json!("only words"), "plugin"),
            (
                3,
                "divide",
                json!(["one", 2]),
                json!("divide: argument 1: invalid type: string \"one\", expected f64"),
                "badArguments",
            ),
        ] {
            for target in ["near", "far"] {
                caller.send(
                    json!({"action": "request", "id": id, "name": target, "key": method, "payload": args.clone()}),
                );
                let answer = caller.recv().await;
                assert_eq!(answer["error"], error);
                let kind = if native { json!(kind) } else { Value::Null };
                assert_eq!(answer["errorKind"], kind, "{answer}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_error_kind_is_exchanged_only_between_native_peers() {
    for native in [false, true] {
        let (_client, mut engine) =
            crate::scripted_peer::plugin_with_scripted_engine(calculator("p"), Default::default(), native).await;
        engine.send(json!({"action": "request", "id": 1, "name": "p", "key": "divide", "payload": [true]}));
        engine.send(json!({"action": "request", "id": 2, "name": "p", "key": "divide", "payload": [1, 0]}));
        let (bad, own) = (engine.recv().await, engine.recv().await);
        assert_eq!(bad["errorKind"], if native { json!("badArguments") } else { Value::Null });
        assert_eq!((&own["errorKind"], &own["error"]), (&Value::Null, &json!({"kind": "DividedByZero"})));
    }
    let host = Host::new().await;
    let (mut liar, _peers) = host.add_scripted("liar", &["lie"], true).await;
    for (kind, is_bad) in [("linkLost", false), ("refused", false), ("badArguments", true), ("of the future", false)] {
        let call = host.start::<()>("liar", "lie", ());
        let request = liar.recv().await;
        liar.send(json!({"action": "response", "id": request["id"], "error": "no", "errorKind": kind}));
        let error = soon(call).await.unwrap().unwrap_err();
        assert_eq!(error.is_bad_arguments(), is_bad, "{error:?}");
        assert!(matches!(error, CallError::Plugin(_)), "{error:?}");
    }
}
