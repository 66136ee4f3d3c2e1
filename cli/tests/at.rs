//! The commands with `--at`, against an engine that runs in this process.

mod support;

use std::future::pending;
use std::net::Ipv6Addr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use connector_core::{Context, Engine, Plugin, PluginClient, PluginOptions, Registration};
use connector_inspect::{Inspector, ServeOptions, serve};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use self::support::examples;

async fn divide(a: f64, b: f64) -> Result<f64, String> {
    if b == 0.0 { Err("cannot divide by zero".to_owned()) } else { Ok(a / b) }
}

struct Running {
    engine: Engine,
    app: PluginClient,
    inspector: Inspector,
}

impl Running {
    async fn start(options: ServeOptions) -> Running {
        let engine = Engine::new();
        let app = engine.register(Plugin::new("app")).unwrap();
        let calc = Plugin::new("calc")
            .method("divide", divide)
            .method("late", pending::<()>)
            .method("digits", || async {
                connector_core::Json(serde_json::value::RawValue::from_string("1.00".to_owned()).unwrap())
            })
            .method("tick", |ctx: Context| async move { ctx.client().emit("ticked", (1, "x")).await });
        engine.register(calc).unwrap();
        let inspector = serve(&engine, options).await.unwrap();
        engine.manager().activate("app").await.unwrap();
        engine.manager().activate("calc").await.unwrap();
        Running { engine, app, inspector }
    }

    async fn command(&self, args: &[&str]) -> Output {
        at(self.inspector.url(), args).await
    }

    async fn json(&self, args: &[&str]) -> (i32, Value) {
        let output = self.command(&[args, &["--json"]].concat()).await;
        let text = String::from_utf8_lossy(&output.stdout);
        let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error}: {output:?}"));
        (output.status.code().unwrap(), value)
    }
}

async fn at(url: &str, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    command.args(args).env("CONNECTOR_AT", url).current_dir(examples()).stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_engine_is_listed_and_called() {
    let running = Running::start(ServeOptions::default().allow_calls(true)).await;
    let (code, listed) = running.json(&["ls"]).await;
    let expected = json!([
        { "name": "app", "methods": [] },
        { "name": "calc", "methods": ["divide", "late", "digits", "tick"] },
    ]);
    assert_eq!((code, listed), (0, expected));
    let (code, info) = running.json(&["info", "calc"]).await;
    assert_eq!((code, &info["name"]), (0, &json!("calc")));
    assert_eq!(running.json(&["call", "calc", "divide", "1", "4"]).await, (0, json!({ "ok": 0.25 })));
    let digits = running.command(&["call", "calc", "digits"]).await;
    assert_eq!(String::from_utf8_lossy(&digits.stdout), "1.00\n");
    let (code, failed) = running.json(&["call", "calc", "divide", "1", "0"]).await;
    assert_eq!((code, failed), (1, json!({ "error": "cannot divide by zero" })));
    assert_eq!(running.json(&["call", "calc", "nothing"]).await.0, 4);
    let (code, late) = running.json(&["call", "calc", "late", "--timeout", "0.2"]).await;
    let late = late["error"].as_str().unwrap();
    assert!(code == 5 && late.ends_with("; raise it with --timeout"), "{late}");
    let slow = Plugin::new("slow").method("late", pending::<()>);
    let limited = PluginOptions::default().queue_timeout(Duration::from_millis(100));
    running.engine.register(Registration::from(slow).options(limited)).unwrap();
    let (code, late) = running.json(&["call", "slow", "late"]).await;
    let late = late["error"].as_str().unwrap();
    assert!(code == 5 && late.starts_with("[TIMEOUT] ") && late.contains("queue_timeout"), "{late}");
    running.engine.remove("slow").await;
    let many = Plugin::new("many");
    let many = (0..300).fold(many, |many, number| many.method(&format!("method{number}"), || async { 1 }));
    running.engine.register(many).unwrap();
    let (_, listed) = running.json(&["ls"]).await;
    assert_eq!(listed[2]["methods"].as_array().unwrap().len(), 300);
    assert_eq!(running.json(&["info", "nothing"]).await.0, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_a_running_engine_are_counted() {
    let running = Running::start(ServeOptions::default()).await;
    for divisor in [1, 2, 0] {
        let _: Result<f64, _> = running.app.call("calc", "divide", (1, divisor)).await;
    }
    let (code, stats) = running.json(&["stats"]).await;
    let calc = &stats[0];
    assert_eq!((code, &calc["name"]), (0, &json!("calc")), "{stats}");
    let divide = &calc["methods"][0];
    assert_eq!((&divide["name"], &divide["calls"], &divide["errors"]), (&json!("divide"), &json!(3), &json!(1)));
    assert_eq!(calc["methods"].as_array().unwrap().len(), 1);
    let text = running.command(&["stats"]).await;
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(text.contains("calc.divide, called by app: cannot divide by zero"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_running_engine_are_printed() {
    let running = Running::start(ServeOptions::default()).await;
    let listening = running.command(&["listen", "calc", "ticked", "--count", "2"]);
    let emitting = async {
        loop {
            running.app.call::<()>("calc", "tick", ()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let output = tokio::select! {
        output = listening => output,
        () = emitting => unreachable!(),
    };
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[1,\"x\"]\n[1,\"x\"]\n", "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_inspector_is_said() {
    let running = Running::start(ServeOptions::default()).await;
    let url = running.inspector.url().to_owned();
    let read_only = running.command(&["call", "calc", "divide", "1", "1"]).await;
    assert_eq!(read_only.status.code(), Some(4));
    assert!(stderr(&read_only).contains("allow"), "{read_only:?}");
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("http://{}/?token=s3cret", silent.local_addr().unwrap());
    let no_token = url.split('?').next().unwrap().to_owned();
    let (_, base) = no_token.split_once("//").unwrap();
    for (url, code, remedy) in [
        (format!("{no_token}?token=s3cret"), 3, "refuses the connection: 403"),
        (no_token.clone(), 2, "the URL has no token"),
        (format!("ws://{base}?token=s3cret"), 2, "not the URL of an inspector"),
        ("http://127.0.0.1:9/?token=s3cret".to_owned(), 3, "cannot be reached"),
        (silent, 5, "does not answer within 1s"),
    ] {
        let timeout = if code == 5 { "1" } else { "30" };
        let output = at(&url, &["ls", "--timeout", timeout]).await;
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{url}: {error}");
        assert!(error.contains(remedy) && !error.contains("s3cret"), "{url}: {error}");
    }
    let recorded = running.command(&["call", "calc", "divide", "1", "1", "--record", "x.ndjson"]).await;
    assert_eq!(recorded.status.code(), Some(2));
    assert!(stderr(&recorded).contains("--record cannot be used with --at"), "{recorded:?}");
    let both = running.command(&["ls", "--plugin", "p=./x"]).await;
    assert_eq!(both.status.code(), Some(2));
    assert!(stderr(&both).contains("cannot be used with"), "{both:?}");
    assert!(stderr(&both).contains("--at comes from the variable CONNECTOR_AT: unset it"), "{both:?}");
    let typed = running.command(&["ls", "--at", &url, "--plugin", "p=./x"]).await;
    assert!(stderr(&typed).contains("cannot be used with") && !stderr(&typed).contains("CONNECTOR_AT"), "{typed:?}");
    for command in [&["ping"][..], &["record", "--out", "x.ndjson"]] {
        let output = running.command(command).await;
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains("CONNECTOR_AT has no effect here"), "{output:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspector_at_an_ipv6_address_is_reached() {
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return;
    }
    let running = Running::start(ServeOptions::default().addr((Ipv6Addr::LOCALHOST, 0))).await;
    let (code, plugins) = running.json(&["ls"]).await;
    assert_eq!((code, &plugins[1]["name"]), (0, &json!("calc")), "{plugins}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inspector_that_never_sends_its_state_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?token=s3cret", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        socket.send(Message::text(r#"{"type":"hello","protocol":1,"caller":"inspector"}"#)).await.unwrap();
        while let Some(Ok(_)) = socket.next().await {}
    });
    let output = at(&url, &["ls", "--timeout", "1"]).await;
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(stderr(&output).contains("does not send its state within 1s"), "{output:?}");
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_ends_with_the_engine_that_it_watches() {
    let running = Running::start(ServeOptions::default()).await;
    let url = running.inspector.url().to_owned();
    let listening = tokio::spawn(async move { at(&url, &["listen", "calc", "ticked"]).await });
    // Its subscription shows in what an event reports.
    let (sender, mut listened) = tokio::sync::mpsc::channel(1);
    let _observing = running.engine.observe(move |observation: &connector_core::Observation<'_>| {
        if let connector_core::Observation::Event { listeners: 1.., .. } = observation {
            let _ = sender.try_send(());
        }
    });
    while listened.try_recv().is_err() && !listening.is_finished() {
        running.app.call::<()>("calc", "tick", ()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    running.inspector.close().await;
    let output = listening.await.unwrap();
    assert_eq!(output.status.code(), Some(6), "{output:?}");
    assert!(stderr(&output).contains("the connection to the inspector is lost"), "{output:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_a_running_engine_are_completed() {
    let running = Running::start(ServeOptions::default()).await;
    for (words, index, expected) in
        [(&["connector", "call", "c"][..], "2", "calc"), (&["connector", "call", "calc", "d"], "3", "divide\ndigits")]
    {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
        command.env("COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_COMPLETE_COMP_TYPE", "9");
        command.env("CONNECTOR_AT", running.inspector.url()).arg("--").args(words);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

/// The plugins call each other while the command counts.
#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn calls_between_plugins_that_are_started_are_counted() {
    let caller = r#"
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["action"] != "request": continue
    print(json.dumps({"action": "response", "name": "caller", "key": request["key"], "id": request["id"], "payload": []}), flush=True)
    for number, args in enumerate([[1, 2], [1, "x"]]):
        print(json.dumps({"action": "request", "name": "py", "key": "add", "id": number, "payload": args}), flush=True)
"#;
    let script = Path::new(env!("CARGO_TARGET_TMPDIR")).join("at-caller.py");
    std::fs::write(&script, caller).unwrap();
    let caller = format!("caller=python3 {}", script.display());
    let plugins = ["--plugin", "py=python3 python/plugin.py", "--plugin", &caller];
    let (code, stats) = support::json_of(&[&["stats", "--seconds", "2", "--json"], &plugins[..]].concat());
    let methods = stats.as_array().unwrap().iter().find(|row| row["name"] == "py").map(|row| &row["methods"]);
    let add = &methods.unwrap()[0];
    assert_eq!(
        (code, &add["name"], &add["calls"], &add["errors"]),
        (0, &json!("add"), &json!(2), &json!(1)),
        "{stats}"
    );
    let bad = ["stats", "--seconds", "0.1", "--json", "--plugin", "p=./no-such-program"];
    let (code, stats) = support::json_of(&bad);
    assert_eq!((code, stats[0]["error"].is_string()), (3, true), "{stats}");
    let output = support::connector(&["top", "--plugin", "p=./x"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("connector stats prints the same"), "{output:?}");
}
