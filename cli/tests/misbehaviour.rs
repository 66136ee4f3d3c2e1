//! The command with plugins that misbehave, and with output that nothing reads.
#![cfg(unix)]

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A plugin whose methods are given as Python: `answer(JSON)` answers the request.
const PLUGIN: &str = r#"
import json, os, sys, time
def answer(payload): print('{"action":"response","name":"plugin","key":"%s","id":%s,"payload":%s}' % (key, json.dumps(request["id"]), payload), flush=True)
def emit(event, args): print('{"action":"emit","name":"plugin","key":"%s","payload":%s}' % (event, args), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request["action"] != "request": continue
    key = request["key"]
    if key == "handshake":
        answer(json.dumps(["deep", "digits", "raw", "red\x1b[31m"]))
        exec(sys.argv[1])
    elif key == "deep": answer("[" * 200 + "]" * 200)
    elif key == "digits": answer("12345678901234567890123.40")
    elif key == "raw": answer(line[line.index('"payload":[') + 11 : line.index('],"requestInfo"')])
"#;

fn connector(args: &[&str], script: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    command.args(args).args(["--", "python3", "-c", PLUGIN, script]).stdin(Stdio::null());
    command
}

fn run(args: &[&str], script: &str) -> Output {
    connector(args, script).output().unwrap()
}

/// Waits until the command ends.
fn exit_code(child: &mut Child) -> Option<i32> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if began.elapsed() > Duration::from_secs(30) {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn json_passes_unchanged_in_both_directions() {
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    assert_eq!(stdout(&run(&["call", "plugin", "deep"], "")), deep);
    assert_eq!(stdout(&run(&["call", "plugin", "deep", "--json"], "")), format!(r#"{{"ok":{deep}}}"#));
    assert_eq!(stdout(&run(&["call", "plugin", "digits"], "")), "12345678901234567890123.40");
    for arg in [deep.as_str(), "12345678901234567890123", r#"{"b":1.0,"a":2}"#] {
        assert_eq!(stdout(&run(&["call", "plugin", "raw", arg], "")), arg);
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn texts_of_plugins_do_not_control_the_terminal() {
    for command in ["ls", "info"] {
        let text = stdout(&run(&[command], ""));
        assert!(text.contains("red\\u001b[31m") && !text.contains('\x1b'), "{text:?}");
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn a_program_that_fails_shows_its_standard_error() {
    let script = "print('the cause', file=sys.stderr); sys.exit(1)";
    let output = run(&["call", "plugin", "deep"], script);
    assert!(String::from_utf8_lossy(&output.stderr).contains("\n  the cause"), "{output:?}");
    assert_eq!(output.status.code(), Some(6));
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn listen_ends_with_its_program() {
    let script = "emit('tick', '[1]'); sys.exit(0)";
    let mut command = connector(&["listen", "plugin", "tick"], script);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let code = exit_code(&mut child);
    let output = child.wait_with_output().unwrap();
    assert_eq!((code, stdout(&output).as_str()), (Some(6), "[1]"), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("the link to plugin is lost"), "{output:?}");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn an_interrupt_ends_listen_between_events() {
    let mut child = connector(&["listen", "plugin", "tick"], "while True: emit('tick', '[1]')")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    out.read_exact(&mut [0; 4]).unwrap();
    let reader = std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(exit_code(&mut child), Some(0));
    reader.join().unwrap().unwrap();
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn the_exit_code_remains_if_nothing_reads_the_output() {
    for args in [&["call", "plugin", "nothing", "--json"][..], &["call", "plugin", "nothing"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let errors = writer.try_clone().unwrap();
        let status = connector(args, "").stdout(writer).stderr(errors).status().unwrap();
        assert_eq!(status.code(), Some(4), "{args:?}");
    }
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn a_program_may_start_slowly() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    let script = format!("import time; time.sleep(6){PLUGIN}");
    let output = command.args(["ls", "--json", "--", "python3", "-c", &script, ""]).output().unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(listed[0]["name"], json!("plugin"));
    assert_eq!(output.status.code(), Some(0), "{listed}");
}

#[test]
fn errors_do_not_show_the_secrets_of_urls() {
    for plugin in ["p=ftp://u:s3cret@h", "ws://u:s3cret@127.0.0.1:9", "ws://localhost:9/?token=s3cret"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
        let output = command.args(["ls", "--timeout", "1", "--plugin", plugin]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(!format!("{output:?}").contains("s3cret"), "{output:?}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_connector")).args(["ls", "ws://u:s3cret@h"]).output().unwrap();
    assert!(!format!("{output:?}").contains("s3cret"), "{output:?}");
}

#[test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn ping_ends_if_a_plugin_does_not_answer_or_is_never_silent() {
    for script in ["while True: sys.stdin.readline()", "while True: emit('tick', '[1]'); time.sleep(0.001)"] {
        let output = run(&["ping", "--count", "1", "--interval", "0.5", "--timeout", "1"], script);
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(stdout(&output).contains("plugin: error: 0 of 1 round trips"), "{output:?}");
    }
}

#[test]
#[cfg(target_os = "linux")]
#[cfg_attr(not(has_python), ignore = "needs Python")]
fn output_that_cannot_be_written_has_an_exit_code() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = connector(&["ls"], "").stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(8), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot print"), "{output:?}");
}
