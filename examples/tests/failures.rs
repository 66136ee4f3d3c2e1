//! An engine program whose plugin cannot be activated prints the reason on standard error and ends with exit code 1.
#![cfg(all(unix, feature = "ws", feature = "ipc"))]

use std::process::Command;

/// Asserts that the step is still reported on standard output. Returns standard error.
fn fails(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{lines}");
    assert!(lines.contains(r#""do":"activate","error":"#), "{lines}");
    assert!(lines.contains(r#""event":"done""#), "{lines}");
    String::from_utf8(output.stderr).unwrap()
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/activate.json");

#[test]
fn an_unreachable_url_is_reported() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut engine = Command::new(env!("CARGO_BIN_EXE_ws-engine"));
    let error = fails(engine.args(["--url", &format!("ws://127.0.0.1:{port}"), "--script", SCRIPT]));
    assert!(error.contains("error: cannot connect to plugin") && error.contains("start the server"), "{error}");
}

#[test]
fn a_program_that_is_not_a_plugin_is_reported() {
    let mut engine = Command::new(env!("CARGO_BIN_EXE_ipc-engine"));
    let error = fails(engine.args(["--exec", "/bin/true", "--script", SCRIPT]));
    assert!(error.contains("is it a plugin's program"), "{error}");
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_ws-plugin")).args(["--port", &port]).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("error: cannot listen on 127.0.0.1:{port}")), "{error}");
}
