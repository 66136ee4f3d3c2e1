//! `record`, `replay` and `export`.
#![cfg(unix)]

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use conformance::{Script, probe, run_script};
use connector_core::{ClientConfig, Engine, ExternalProfile, Registration, serve};
use connector_inspect::{Kind, Recorder, RecorderOptions, Recording};
use serde_json::{Value, json};
use support::{connector, examples, json_of};
use tempfile::TempDir;
use transport_ipc::{ChannelKind, Program};

const PYTHON: &str = "py=python3 python/plugin.py";

fn text(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A folder with the recording `r.ndjson` of calls to the plugin in Python.
fn recorded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let calls = folder.path().join("calls");
    std::fs::write(&calls, "py add 1 2\n\npy greet '\"Ada Lovelace\"'\npy add 1 '[]'\n").unwrap();
    let file = folder.path().join("r.ndjson");
    let [file, calls] = [&file, &calls].map(|path| path.to_str().unwrap());
    let output = connector(&["record", "--out", file, "--calls", calls, "--plugin", PYTHON]);
    let (code, printed) = text(&output);
    assert_eq!(code, Some(0), "{output:?}");
    assert!(printed.starts_with("3\n\"Hello, Ada Lovelace!\"\nerror: unsupported operand"), "{printed}");
    folder
}

fn in_folder(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn a_recording_is_replayed_to_the_plugin_that_it_was_made_with() {
    let folder = recorded();
    let file = in_folder(&folder, "r.ndjson");
    let (code, printed) = text(&connector(&["replay", &file, "--plugin", PYTHON]));
    assert_eq!((code, printed.contains(" recorded messages exchanged, 0 differences")), (Some(0), true), "{printed}");
    let (code, found) = json_of(&["replay", &file, "--plugin", PYTHON, "--speed", "100", "--json"]);
    assert_eq!((code, &found["differences"], &found["name"]), (0, &json!(0), &json!("py")), "{found}");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn a_plugin_that_answers_otherwise_is_exit_code_7() {
    let folder = recorded();
    let file = in_folder(&folder, "r.ndjson");
    let plugin = std::fs::read_to_string(examples().join("python/plugin.py")).unwrap();
    let other = in_folder(&folder, "other.py");
    std::fs::write(&other, plugin.replace("return a + b", "return a + b + 1")).unwrap();
    let (code, found) = json_of(&["replay", &file, "--plugin", &format!("py=python3 {other}"), "--json"]);
    assert_eq!((code, &found["differences"]), (7, &json!(1)), "{found}");
    let first = &found["first"][0];
    assert_eq!((&first["file"], first["line"].is_u64()), (&json!(file), true), "{first}");
    assert_eq!((&first["about"], &first["expected"], &first["got"]), (&json!("py.add(1,2)"), &json!("3"), &json!("4")));
    let (_, printed) = text(&connector(&["replay", &file, "--plugin", &format!("py=python3 {other}")]));
    let expected = format!("py.add(1,2): expected 3, got 4 ({file}, line {})\npy: ", first["line"]);
    assert!(printed.starts_with(&expected) && printed.ends_with(" exchanged, 1 difference\n"), "{printed}");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn a_recording_plays_the_plugin_for_an_engine() {
    let folder = recorded();
    let file = in_folder(&folder, "r.ndjson");
    let plugin = format!("py={} replay {file} --as-plugin py", env!("CARGO_BIN_EXE_connector"));
    for channel in ["stdio", "node", "local"] {
        let (code, found) =
            json_of(&["call", "py", "add", "1", "2", "--plugin", &plugin, "--channel", channel, "--json"]);
        assert_eq!((code, found), (0, json!({ "ok": 3 })), "{channel}");
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn a_recording_is_a_mock_that_answers_what_was_recorded_only() {
    let folder = recorded();
    let file = in_folder(&folder, "r.ndjson");
    let plugin = format!("py={} replay {file} --as-plugin py --mock", env!("CARGO_BIN_EXE_connector"));
    let (code, found) = json_of(&["call", "py", "add", "1", "2", "--plugin", &plugin, "--json"]);
    assert_eq!((code, found), (0, json!({ "ok": 3 })));
    let (code, found) = json_of(&["call", "py", "add", "1", "3", "--plugin", &plugin, "--json"]);
    assert_eq!(code, 1, "{found}");
    assert!(found["error"].as_str().unwrap().contains("the recording has no call of add"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_of_the_published_packages_runs_against_a_recording_in_a_child() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.ndjson");
    let (connector, client, _switch) = conformance::memory();
    tokio::spawn(serve(client, probe, ClientConfig::default()));
    let registration = Registration::behind(ExternalProfile::new("probe", "memory://"), connector);
    run(registration, Some(&file)).await;
    for channel in [ChannelKind::Stdio, ChannelKind::Node, ChannelKind::Local] {
        let program = Program::new(env!("CARGO_BIN_EXE_connector")).arg("replay").arg(&file);
        let program = program.args(["--as-plugin", "probe"]).channel(channel);
        run(transport_ipc::child("probe", program), None).await;
    }
}

/// Runs the script, compares its lines, and may record it.
async fn run(plugin: Registration, record_to: Option<&Path>) {
    let engine = Engine::new();
    let recorder = record_to.map(|file| Recorder::start(&engine, file, RecorderOptions::default()).unwrap());
    engine.register(plugin).unwrap();
    let (script, mut lines) = (Script::parse(conformance::SCRIPT).unwrap(), Vec::new());
    run_script(&engine, &script, |line| lines.push(line)).await.unwrap();
    engine.shutdown().await;
    let value = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let expected: Vec<Value> = conformance::EXPECTED.lines().map(value).collect();
    assert_eq!(lines.iter().map(|line| value(line)).collect::<Vec<_>>(), expected);
    recorder.map(Recorder::finish).transpose().unwrap();
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn what_was_recorded_until_the_command_was_killed_can_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = in_folder(&folder, "r.ndjson");
    let flood = r#"
import json, sys
for line in sys.stdin:
    request = json.loads(line)
    if request.get("key") == "handshake":
        print(json.dumps({"action": "response", "name": "plugin", "key": "handshake", "id": request["id"], "payload": []}), flush=True)
        number = 0
        while True:
            print(json.dumps({"action": "emit", "name": "plugin", "key": "tick", "payload": [number, "x" * 1000]}))
            number += 1
"#;
    let mut child = Command::new(env!("CARGO_BIN_EXE_connector"))
        .args(["listen", "plugin", "tick", "--record", &file, "--", "python3", "-c", flood])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.take(3000).filter(Result::is_ok).count(), 3000);
    child.kill().unwrap();
    child.wait().unwrap();
    let mut recording = Recording::open(&file).unwrap();
    let events = (&mut recording).filter(|entry| entry.as_ref().unwrap().1.kind == Kind::Event).count();
    assert!(events > 1000, "{events}");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn secrets_are_not_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = in_folder(&folder, "r.ndjson");
    let args =
        ["call", "py", "greet", "s3cret", "--record", &file, "--redact", "/0", "--redact", "", "--plugin", PYTHON];
    assert_eq!(connector(&args).status.code(), Some(0));
    let recording = std::fs::read_to_string(&file).unwrap();
    assert!(recording.contains("greet") && !recording.contains("s3cret"), "{recording}");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn exports_are_written() {
    let folder = recorded();
    let file = in_folder(&folder, "r.ndjson");
    for (format, beginning) in
        [("har", &b"{\"log\":"[..]), ("chrome", b"{\"displayTimeUnit\""), ("pcapng", b"\x0a\x0d\x0d\x0a")]
    {
        let out = in_folder(&folder, format);
        let output = connector(&["export", &file, "--format", format, "--out", &out]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(std::fs::read(&out).unwrap().starts_with(beginning), "{format}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with(&format!("{out}: ")), "{output:?}");
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn mistakes_name_their_line_and_remedy() {
    let folder = recorded();
    let file = in_folder(&folder, "r.ndjson");
    let recording = std::fs::read_to_string(&file).unwrap();
    let [edited, later, torn] = ["edited", "later", "torn"].map(|name| in_folder(&folder, name));
    let mut lines: Vec<&str> = recording.lines().collect();
    lines.remove(4);
    std::fs::write(&edited, lines.join("\n") + "\n").unwrap();
    std::fs::write(&later, recording.replacen("\"version\":1", "\"version\":2", 1)).unwrap();
    std::fs::write(&torn, &recording[..recording.len() - 10]).unwrap();
    let text = std::fs::canonicalize(examples().join("python/plugin.py")).unwrap();
    let text = text.to_str().unwrap();
    for (args, code, remedy) in [
        (vec!["replay", &edited, "--plugin", PYTHON], 2, "edited, line 5: it has the number 5 instead of 4"),
        (vec!["replay", &later, "--plugin", PYTHON], 2, "version 2 of the format"),
        (vec!["replay", text, "--plugin", PYTHON], 2, "it is not a recording"),
        (vec!["replay", &torn, "--plugin", PYTHON], 0, "was not written completely, and is left out"),
        (vec!["replay", &file, "--plugin", "b=./x"], 2, "no link of a plugin \"b\"; it has links of: py"),
        (vec!["replay", &file], 2, "no plugin is given"),
        (vec!["replay", &file, "--plugin", "py=./no-such-program"], 3, "./no-such-program cannot be started"),
        (vec!["replay", &file, "--listen", "127.0.0.1:0"], 2, "--as-plugin"),
        (vec!["export", &file, "--format", "doc", "--out", &torn], 2, "use har, chrome or pcapng"),
        (vec!["export", &file, "--format", "har", "--out", &file], 2, "is a recording: choose another file"),
        (
            vec!["call", "py", "add", "--record", &torn, "--redact", "password", "--plugin", PYTHON],
            2,
            "begins with `/`",
        ),
        (vec!["export", "none", "--format", "har", "--out", &torn], 2, "none: "),
        (vec!["call", "py", "add", "1", "2", "--record", text, "--plugin", PYTHON], 2, "choose another name"),
    ] {
        let output = connector(&args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {output:?}");
        assert!(errors.contains(remedy), "{args:?}: {errors}");
        assert!(code == 0 || output.stdout.is_empty(), "{args:?}: {output:?}");
    }
}
