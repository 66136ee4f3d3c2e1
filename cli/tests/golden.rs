//! What the commands print about the published plugin and the one in Python, compared with files.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use self::support::*;

/// A plugin that calls another as soon as it is active, by the words of its command line: a method and two arguments.
const CALLER: &str = r#"
import json, sys
number = 0
for line in sys.stdin:
    request = json.loads(line)
    if request.get("key") != "handshake" or request["action"] != "request": continue
    print(json.dumps({"action": "response", "name": "caller", "key": "handshake", "id": request["id"], "payload": []}), flush=True)
    for payload in json.loads(sys.argv[2]):
        number += 1
        print(json.dumps({"action": "request", "name": "plugin", "key": sys.argv[1], "id": number, "payload": payload}), flush=True)
"#;

fn printed(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    let output = command.args(args).current_dir(examples()).stdin(Stdio::null()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn compare(name: &str, printed: &str) {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert!(printed == expected, "{} has\n{expected}but this was printed:\n{printed}", golden.display());
}

/// Compares `ls`, some calls, and `listen`. `place` is the plugin's table in a host file; `method` and `arguments` are calls that
/// make it emit `event`.
fn compare_all(kind: &str, test: &str, place: &str, calls: &[&[&str]], (event, method, arguments): (&str, &str, &str)) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let script = folder.join(format!("{test}-caller.py"));
    std::fs::write(&script, CALLER).unwrap();
    let cwd = examples();
    let only = format!("[plugins.plugin]\n{place}\n");
    let place = only.replace("CWD", cwd.to_str().unwrap());
    let alone = folder.join(format!("{test}.toml"));
    std::fs::write(&alone, &place).unwrap();
    let alone = alone.to_str().unwrap();
    compare(&format!("{kind}-ls.json"), &printed(&["ls", "--json", "--host", alone]));
    let called = calls.iter().map(|call| printed(&[&["call", "--json", "--host", alone, "plugin"], *call].concat()));
    compare(&format!("{kind}-call.ndjson"), &called.collect::<String>());
    let both = folder.join(format!("{test}-both.toml"));
    let caller = format!("[plugins.caller]\ncommand = \"python3\"\nargs = [{script:?}, {method:?}, {arguments:?}]\n");
    std::fs::write(&both, format!("{place}{caller}")).unwrap();
    let both = both.to_str().unwrap();
    compare(&format!("{kind}-listen.ndjson"), &printed(&["listen", "plugin", event, "--count", "2", "--host", both]));
}

/// Calls to the probe. The golden file of the native plugin does not have the last one.
const CALLS: [&[&str]; 7] = [
    &["echo", "\"x\""],
    &["echo", r#"{"b":1.0,"a":[null,"ü"]}"#],
    &["add", "1", "-3"],
    &["fail", "why"],
    &["whoami"],
    &["nothing"],
    &["slow", "1", "late"],
];

/// The published plugin prints the same over each transport.
fn published(test: &str, place: &str) {
    compare_all("published", test, place, &CALLS, ("tick", "fire", r#"[["tick", 1, {"a": "b"}], ["tick", 2]]"#));
}

#[test]
#[cfg_attr(not(all(has_node, has_python)), ignore = "needs Node and Python")]
fn the_published_plugin_behind_a_websocket() {
    let served = Served::start("ws-plugin.js");
    published("ws", &format!("url = \"{}\"", served.url));
}

#[test]
#[cfg(feature = "socketio")]
#[cfg_attr(not(all(has_node, has_python)), ignore = "needs Node and Python")]
fn the_published_plugin_behind_socketio() {
    let served = Served::start("socketio-plugin.js");
    published("socketio", &format!("url = \"{}\"", served.url));
}

#[test]
#[cfg(feature = "nats")]
#[cfg_attr(not(all(has_nats, has_python)), ignore = "needs a NATS server and Python")]
fn the_native_plugin_behind_a_nats_server() {
    // One: events of several replicas have no common order.
    let replicas = Replicas::start("", &["one"]);
    let place = format!("url = \"{}\"", replicas.url());
    compare_all("native", "nats", &place, &CALLS[..6], ("tick", "fire", r#"[["tick", 1, {"a": "b"}], ["tick", 2]]"#));
}

#[test]
#[cfg(unix)]
#[cfg_attr(not(all(has_node, has_python)), ignore = "needs Node and Python")]
fn the_published_plugin_as_a_child() {
    published_packages();
    published("fork", "command = \"node\"\nargs = [\"js/fork-plugin.js\"]\ncwd = \"CWD\"\nchannel = \"node\"");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn the_plugin_in_python() {
    let place = "command = \"python3\"\nargs = [\"python/plugin.py\"]\ncwd = \"CWD\"";
    let calls: [&[&str]; 4] = [&["add", "1", "-3"], &["add", "1", "x"], &["greet", "Ada"], &["nothing"]];
    compare_all("python", "python", place, &calls, ("greeted", "greet", r#"[["Ada"], ["Bob"]]"#));
}
