//! The STP programs: two services that exchange messages through the hub, and the hub's listing.
#![cfg(feature = "stp")]

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use support::{failure, output};

/// A running program and the lines it prints. Killed when dropped.
struct Running {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Running {
    fn start(command: &mut Command) -> Running {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Running { child, lines }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().expect("it ended").unwrap()).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn service(url: &str, name: &str, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stp-service"));
    command.args(["--url", url, "--name", name]).args(more);
    command
}

#[test]
fn two_services_talk_through_the_hub() {
    let mut hub = Running::start(&mut Command::new(env!("CARGO_BIN_EXE_stp-hub")));
    let ready = hub.next();
    assert_eq!(ready["event"], "ready");
    let url = ready["url"].as_str().unwrap();

    let answers = ["--session", "demo", "--solvables", "GetTasks,TaskAdded", "--answer", r#"{"tasks":[]}"#];
    let mut tasks = Running::start(&mut service(url, "Tasks", &answers));
    let connected = tasks.next();
    assert_eq!((&connected["event"], &connected["session"]), (&json!("connected"), &json!("demo")));

    let (inform, request) = (r#"{"method":"TaskAdded","params":{"n": 1.0}}"#, r#"{"method":"GetTasks"}"#);
    let lines = output(&mut service(url, "Map", &["--session", "demo", "--inform", inform, "--request", request]));
    assert_eq!(lines[0]["event"], "connected");
    assert_eq!(
        lines[1..],
        [
            json!({"event": "informed", "message": inform}),
            json!({"event": "requested", "message": request}),
            json!({"event": "answer", "answer": [r#"{"tasks":[]}"#]}),
        ]
    );
    assert_eq!(tasks.next(), json!({"event": "heard", "message": inform}));
    assert_eq!(tasks.next(), json!({"event": "answered", "message": request, "answer": r#"{"tasks":[]}"#}));

    let why = failure(&mut service(url, "Map", &["--session", "elsewhere", "--request", request]));
    assert_eq!(why, "error: no service in session elsewhere solves GetTasks\n");

    // The hub would drop it without an answer.
    let why = failure(&mut service(url, "Map", &["--session", "demo", "--inform", "hello"]));
    assert!(why.contains("STP would drop it (the frame is not JSON: "), "{why}");
    assert!(why.contains(r#"give a JSON object such as {"method":"TaskAdded","params":{}}"#), "{why}");

    let list = Command::new(env!("CARGO_BIN_EXE_stp-hub")).args(["--list", &format!("{url}/demo")]).output().unwrap();
    let list = String::from_utf8(list.stdout).unwrap();
    assert!(
        list.starts_with("sessions: 1, services: 1\ninforms: 1, requests: 2, refusals: 1, slow closes: 0"),
        "{list}"
    );
    assert!(list.contains("session demo\n  Tasks_") && list.ends_with("): GetTasks, TaskAdded\n"), "{list}");
}

/// The programs name their options, and not the settings of the library.
#[test]
fn errors_name_the_option_for_the_token() {
    let mut hub = Running::start(Command::new(env!("CARGO_BIN_EXE_stp-hub")).args(["--token", "s3cret"]));
    let ready = hub.next();
    let url = ready["url"].as_str().unwrap();
    let list = |more: &[&str]| failure(Command::new(env!("CARGO_BIN_EXE_stp-hub")).args(["--list", url]).args(more));
    let register = |more: &[&str]| failure(service(url, "Tasks", &["--solvables", "GetTasks"]).args(more));
    for (options, remedy) in [
        (&[][..], "it requires a token: set it with --token"),
        (&["--token", "wrong"], "the token is wrong: compare --token"),
        (&["--token", ""], "--token is an empty text"),
    ] {
        for why in [list(options), register(options)] {
            assert!(why.contains(remedy) && !why.contains("Config") && !why.contains("s3cret"), "{why}");
        }
    }
    let why = failure(Command::new(env!("CARGO_BIN_EXE_stp-hub")).args(["--token", "ä"]));
    assert!(why.contains("--token is a text that no HTTP header can carry"), "{why}");
}

#[test]
fn options_with_which_nothing_happens_are_usage_errors() {
    let usage = |more: &[&str]| failure(&mut service("ws://127.0.0.1:1", "Tasks", more));
    let why = usage(&[]);
    assert!(why.contains("--solvables") && why.contains("--inform") && why.contains("--request"), "{why}");
    let why = usage(&["--solvables", "GetTasks", "--answer", "zz"]);
    assert!(why.contains("it is not JSON"), "{why}");
    for timeout in ["0", "-1", "soon", "NaN"] {
        let why = usage(&["--solvables", "GetTasks", &format!("--timeout={timeout}")]);
        assert!(why.contains("give a number of seconds above 0"), "{why}");
    }
}

#[test]
fn an_unknown_session_is_an_error_of_the_listing() {
    let mut hub = Running::start(&mut Command::new(env!("CARGO_BIN_EXE_stp-hub")));
    let ready = hub.next();
    let url = format!("{}/nowhere", ready["url"].as_str().unwrap());
    let why = failure(Command::new(env!("CARGO_BIN_EXE_stp-hub")).args(["--list", &url]));
    assert!(why.contains("the hub has no such session"), "{why}");
}
