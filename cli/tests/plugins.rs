//! The command against the published packages and against Python.

#[path = "../../examples/tests/support/published_packages.rs"]
mod published_packages;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::{Value, json};

use self::published_packages::{js, published_packages};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

fn connector(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    command.args(args).current_dir(examples()).stdin(Stdio::null()).output().unwrap()
}

/// Runs the command with `--json`, and returns its exit code and what it prints.
fn json_of(args: &[&str]) -> (i32, Value) {
    let output = connector(args);
    let text = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error} in {text:?}: {output:?}"));
    (output.status.code().unwrap(), value)
}

/// The published plugin behind a server, ended on drop.
struct Served {
    child: Child,
    url: String,
    /// Kept, because the plugin prints a line for each connection.
    _lines: BufReader<ChildStdout>,
}

impl Served {
    fn start(script: &str) -> Served {
        published_packages();
        let mut command = Command::new("node");
        let mut child = command.arg(js().join(script)).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Served { child, url: ready["url"].as_str().unwrap().to_owned(), _lines: lines }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What every probe answers.
fn answers_as_a_probe(place: &[&str]) {
    let methods =
        ["echo", "add", "fail", "slow", "whoami", "fire", "relay", "watch", "watchOnce", "unwatch", "watched", "ping"];
    // Options come before `--`, if there is one.
    let split = place.iter().position(|arg| *arg == "--").unwrap_or(place.len());
    let (options, command) = place.split_at(split);
    let with = |first: &[&str]| json_of(&[first, options, &["--json"], command].concat());
    let (code, listed) = with(&["ls"]);
    assert_eq!(code, 0, "{listed}");
    let mut found: Vec<_> = listed[0]["methods"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    found.retain(|method| methods.contains(method));
    assert_eq!(found, methods);
    assert_eq!(listed[0]["name"], "plugin");
    assert_eq!(with(&["call", "plugin", "echo", "\"x\""]), (0, json!({ "ok": "x" })));
    assert_eq!(with(&["call", "plugin", "echo", "no JSON"]), (0, json!({ "ok": "no JSON" })));
    assert_eq!(with(&["call", "plugin", "add", "1", "-3"]), (0, json!({ "ok": -2 })));
    let (code, failed) = with(&["call", "plugin", "fail", "why"]);
    assert_eq!(code, 1, "{failed}");
    assert!(failed["error"].is_string(), "{failed}");
    let (code, refused) = with(&["call", "plugin", "nothing"]);
    assert_eq!(code, 4);
    assert!(refused["error"].as_str().unwrap().contains("\"nothing\" is not exposed"), "{refused}");
    let (code, late) = with(&["call", "plugin", "slow", "5000", "1", "--timeout", "0.5"]);
    assert_eq!(code, 5, "{late}");
    let (code, info) = with(&["info"]);
    assert_eq!((code, &info["link"]), (0, &json!("up")));
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn the_published_plugin_behind_a_websocket() {
    let served = Served::start("ws-plugin.js");
    answers_as_a_probe(&["--plugin", &format!("plugin={}", served.url)]);
}

#[test]
#[cfg(feature = "socketio")]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn the_published_plugin_behind_socketio() {
    let served = Served::start("socketio-plugin.js");
    answers_as_a_probe(&["--plugin", &format!("plugin={}", served.url)]);
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn the_published_plugin_as_a_child() {
    published_packages();
    answers_as_a_probe(&["--channel", "node", "--", "node", "js/fork-plugin.js"]);
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn several_plugins_and_one_that_does_not_start() {
    let (code, listed) =
        json_of(&["ls", "--json", "--plugin", "py=python3 python/plugin.py", "--plugin", "bad=./no-such-program"]);
    assert_eq!(code, 3);
    assert_eq!(listed[0], json!({ "name": "py", "methods": ["add", "greet", "relay"] }));
    assert_eq!(listed[1]["methods"], json!([]));
    assert!(listed[1]["error"].as_str().unwrap().contains("./no-such-program cannot be started"), "{listed}");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn events_are_printed_as_they_occur() {
    let plugin = r#"
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request["action"] == "request":
        answer = {"action": "response", "name": request["name"], "key": request["key"], "id": request["id"], "payload": ["x"]}
        print(json.dumps(answer), flush=True)
        for number in range(3):
            print(json.dumps({"action": "emit", "name": "plugin", "key": "tick", "payload": [number, {"a": "b"}]}), flush=True)
"#;
    let output = connector(&["listen", "plugin", "tick", "--count", "2", "--", "python3", "-c", plugin]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "[0,{\"a\":\"b\"}]\n[1,{\"a\":\"b\"}]\n");
}

#[test]
fn mistakes_name_their_remedy() {
    for (args, code, remedy) in [
        (&["ls"][..], 2, "add --plugin NAME=URL"),
        (&["ls", "--plugin", "ws://127.0.0.1:1"], 2, "give NAME=URL or NAME=COMMAND"),
        (&["ls", "--plugin", "a=./x", "--plugin", "a=./y"], 2, "a"),
        (&["call", "b", "m", "--plugin", "a=./x"], 4, "there is no plugin b; given are: a"),
        (&["call", "a", "m", "--timeout", "0", "--plugin", "a=./x"], 2, "not a positive number"),
        (&["info", "--plugin", "a=./x", "--plugin", "b=./y"], 2, "name one of the plugins: a, b"),
        (&["call", "a", "m", "--plugin", "a=ws://127.0.0.1:9"], 3, "127.0.0.1:9"),
    ] {
        let mut args = args.to_vec();
        args.extend(if code == 3 { &["--timeout", "1"][..] } else { &[] });
        let output = connector(&args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(remedy), "{args:?}: {text}");
    }
}
