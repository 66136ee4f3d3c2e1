//! The command against the published packages and against Python.

mod support;

use serde_json::{Value, json};

use self::support::*;

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
    let (code, late) = with(&["call", "plugin", "slow", "60000", "1", "--timeout", "4"]);
    assert_eq!(code, 5, "{late}");
    let (code, info) = with(&["info"]);
    assert_eq!((code, &info["link"]), (0, &json!("up")));
    let (code, pinged) = with(&["ping", "--count", "2", "--interval", "0.01"]);
    assert_eq!((code, &pinged[0]["name"], &pinged[0]["roundTrips"]), (0, &json!("plugin"), &json!(2)), "{pinged}");
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
#[cfg(feature = "nats")]
#[cfg_attr(not(has_nats), ignore = "needs a NATS server")]
fn a_plugin_with_replicas_behind_a_nats_server() {
    let replicas = Replicas::start("", &["one", "two", "three"]);
    answers_as_a_probe(&["--plugin", &format!("plugin={}", replicas.url())]);
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
    let output = connector(&["ls", "--plugin", "bad=./no-such-program"]);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(3), &b"bad\n"[..]));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: bad: "), "{output:?}");
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
        (&["ls", "ws://127.0.0.1:1"], 2, "--plugin NAME=URL"),
        (&["ls", "python3", "plugin.py"], 2, "last as -- COMMAND ARGS"),
        (&["open", "python3", "plugin.py"], 2, "last as -- COMMAND ARGS"),
        (&["ping", "--at", "http://127.0.0.1:1/?token=x"], 2, "ls, info, call, listen, stats and top"),
        (&["ls", "--plugn", "a=./x"], 2, "'--plugin'"),
        (&["ls", "--plugin", "a=./x", "--plugin", "a=./y"], 2, "two plugins are named a: give each its own name"),
        (&["ls", "--plugin", "manager=./x"], 2, "the name manager is reserved"),
        (&["ping", "--count", "0", "--plugin", "a=./x"], 2, "0 is not in 1..=100000"),
        (&["ping", "--plugin", "a=./no-such-program"], 3, "a: error: "),
        (&["call", "b", "m", "--plugin", "a=./x"], 4, "there is no plugin b; given are: a"),
        (&["call", "a", "m", "--timeout", "0", "--plugin", "a=./x"], 2, "not a number of at least 0.001"),
        (&["info", "--plugin", "a=./x", "--plugin", "b=./y"], 2, "name one of the plugins: a, b"),
        (&["call", "a", "m", "--plugin", "a=ws://127.0.0.1:9"], 3, "127.0.0.1:9"),
        #[cfg(feature = "nats")]
        (&["call", "a", "m", "--plugin", "a=nats://127.0.0.1:9"], 3, "start nats-server, or check its URL"),
        (&["open", "--no-browser", "nats://127.0.0.1:9"], 2, "give --plugin NAME=nats://…"),
    ] {
        let mut args = args.to_vec();
        args.extend(if code == 3 { &["--timeout", "1"][..] } else { &[] });
        let output = connector(&args);
        let text = String::from_utf8_lossy(&[output.stderr, output.stdout].concat()).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(remedy), "{args:?}: {text}");
    }
}
