//! A plugin in another language: `python/plugin.py`.
#![cfg(feature = "ipc")]

mod support;

use std::process::Stdio;
use std::time::Duration;

use conformance::local;
use connector_core::{CallError, Engine, Event, Payload, Rest};
use support::need;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use transport_ipc::Program;

/// The time limit of every wait.
const LIMIT: Duration = Duration::from_secs(30);

#[tokio::test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
async fn a_plugin_in_python() {
    need("python3");
    let engine = Engine::new();
    let local = engine.register(local()).unwrap();
    let program = Program::new("python3").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/plugin.py"));
    engine.register(transport_ipc::child("python", program)).unwrap();
    engine.manager().activate("local").await.unwrap();
    timeout(LIMIT, engine.manager().activate("python")).await.expect("the activation hangs").unwrap();
    assert_eq!(engine.manager().profile("python").unwrap().methods.unwrap(), ["add", "greet", "relay"]);

    let work = async {
        let mut greeted = local.events("python", "greeted", 8).unwrap();
        assert_eq!(local.call::<i64>("python", "add", (20, 22)).await.unwrap(), 42);
        assert_eq!(local.call::<String>("python", "greet", ("Zoë \u{1f40d}",)).await.unwrap(), "Hello, Zoë \u{1f40d}!");
        let Some(Event::Args(Rest(args))) = greeted.recv().await else { panic!("the event is missing") };
        assert_eq!(args[0].clone().read::<String>().unwrap(), "Zoë \u{1f40d}");

        // It calls back, and is itself called while it waits.
        assert_eq!(local.call::<u8>("python", "relay", ("local", "add", 1, 2)).await.unwrap(), 3);
        assert_eq!(local.call::<u8>("python", "relay", ("python", "add", 3, 4)).await.unwrap(), 7);

        // Its errors affect only the caller.
        let error = local.call::<u8>("python", "add", ("one", 2)).await.unwrap_err();
        assert!(matches!(&error, CallError::Plugin(fault) if fault.to_string().contains("str")), "{error:?}");
        let error = local.call::<u8>("python", "relay", ("local", "refuse")).await.unwrap_err();
        assert!(error.to_string().contains("local refuses"), "{error}");
        assert_eq!(local.call::<u8>("python", "add", (1, 1)).await.unwrap(), 2);
        let error = local.call::<bool>("python", "canDeactivate", ()).await.unwrap_err();
        assert_eq!(error.to_string(), "Method canDeactivate doesn't exist on plugin python");

        // Invalid JSON and unreadable values are errors at once, and the plugin continues.
        let odd = |text: String| (Payload::from_json(text).unwrap(), 1);
        let deep = "[".repeat(100_000) + &"]".repeat(100_000);
        for (what, error) in [
            (local.call::<f64>("python", "add", (1e308, 1e308)).await, "not JSON compliant"),
            (local.call::<f64>("python", "add", odd(deep.clone())).await, "it cannot be read"),
            (local.call::<f64>("python", "add", odd("9".repeat(5000))).await, "it cannot be read"),
            (local.call::<f64>("python", "add", odd("9".repeat(4300))).await, "4300 digits"),
            (local.call::<f64>("python", "add", Payload::from_json("{}").unwrap()).await, "add() missing"),
        ] {
            let failed = what.unwrap_err();
            assert!(matches!(&failed, CallError::Plugin(_)) && failed.to_string().contains(error), "{failed}");
        }
        let half: Payload =
            local.call("python", "add", (Payload::from_json(r#""\ud83d""#).unwrap(), "x")).await.unwrap();
        assert_eq!(half.to_json().unwrap(), r#""\ud83dx""#);
        assert_eq!(local.call::<u8>("python", "add", (1, 1)).await.unwrap(), 2);
    };
    timeout(LIMIT, work).await.expect("a call hangs");
    timeout(LIMIT, engine.shutdown()).await.expect("the shutdown hangs");
}

/// Lines that an engine would not send, or that Python cannot read, with the response to those that have a readable id.
#[tokio::test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
async fn a_plugin_in_python_survives_unreadable_lines() {
    need("python3");
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let digits = "9".repeat(5000);
    let request = |head: &str, payload: &str| format!(r#"{{"action":"request",{head},"payload":[{payload}]}}"#);
    let lines = [
        (request(r#""id":1,"key":"add""#, &format!("{deep},1")), Some(r#""id": 1, "error": "it cannot be read"#)),
        (request(r#""id": "a-2","key":"add""#, &format!("{deep},1")), Some(r#""id": "a-2", "error": "it cannot"#)),
        (request(r#""id":3,"name":NaN,"key":"add""#, "1,1"), Some(r#""id": 3, "error": "it cannot be read"#)),
        (request(r#""id":4"#, "1,1"), Some(r#""id": 4, "error""#)),
        (request(&format!(r#""id":{digits},"key":"add""#), "1,1"), None),
        (request(&format!(r#""id":{deep},"key":"add""#), "1,1"), None),
        (r#"{"action":"request","id":5,"key":"add","payload":[1,"#.to_owned(), Some(r#""id": 5, "error""#)),
        ("\u{0}hello".to_owned(), None),
        (deep.clone(), None),
        (request(r#""id":6,"key":"add""#, "20,22"), Some(r#""id": 6, "key": "add", "payload": 42"#)),
    ];
    let (sent, expected): (Vec<_>, Vec<_>) = lines.into_iter().unzip();
    let mut command = tokio::process::Command::new("python3");
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/plugin.py")).kill_on_drop(true);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let sending = async move { stdin.write_all((sent.join("\n") + "\n").as_bytes()).await };
    let (sent, output) =
        timeout(LIMIT, async { tokio::join!(sending, child.wait_with_output()) }).await.expect("it hangs");
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    sent.unwrap_or_else(|error| panic!("{error}: {output}"));
    let answers: Vec<_> = output.lines().skip(1).collect();
    let expected: Vec<_> = expected.into_iter().flatten().collect();
    assert_eq!(answers.len(), expected.len(), "{output}");
    for (answer, expected) in answers.iter().zip(expected) {
        assert!(answer.contains(expected), "{answer} does not contain {expected}");
    }
}
