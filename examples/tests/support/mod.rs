//! The programs under test as child processes, and the published packages for the other end.
#![allow(dead_code, reason = "each test program includes the whole file and uses a part of it")]

mod published_packages;

use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

#[allow(unused_imports, reason = "each test program uses a part of it")]
pub(crate) use self::published_packages::{js, need, published_packages};

#[cfg(feature = "ws")]
pub(crate) const NATIVE_PLUGIN: &str = env!("CARGO_BIN_EXE_ws-plugin");
#[cfg(feature = "ws")]
pub(crate) const NATIVE_ENGINE: &str = env!("CARGO_BIN_EXE_ws-engine");
#[cfg(feature = "socketio")]
pub(crate) const SOCKETIO_PLUGIN: &str = env!("CARGO_BIN_EXE_socketio-plugin");
#[cfg(feature = "nats")]
pub(crate) const NATS_PLUGIN: &str = env!("CARGO_BIN_EXE_nats-plugin");
#[cfg(feature = "nats")]
pub(crate) const NATS_ENGINE: &str = env!("CARGO_BIN_EXE_nats-engine");
#[cfg(feature = "ipc")]
pub(crate) const IPC_PLUGIN: &str = env!("CARGO_BIN_EXE_ipc-plugin");
#[cfg(feature = "ipc")]
pub(crate) const IPC_ENGINE: &str = env!("CARGO_BIN_EXE_ipc-engine");

/// The time limit of a script.
const LIMIT: Duration = Duration::from_secs(120);

/// A program: a native one, or one with the published packages in `js/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Native(&'static str),
    JavaScript(&'static str),
}

impl End {
    pub(crate) fn command(self) -> Command {
        match self {
            End::Native(program) => Command::new(program),
            End::JavaScript(script) => {
                let mut command = Command::new("node");
                command.arg(js().join(script));
                command
            }
        }
    }
}

/// The script that the published packages are tested with.
pub(crate) fn bundled() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../conformance/src/script.json")
}

/// The lines that [`bundled`] produces.
pub(crate) fn expected() -> Vec<Value> {
    conformance::EXPECTED.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Refusals, the manager, `once`, double listeners, odd arguments.
pub(crate) fn more() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/more.json")
}

/// Asserts that `what` has printed these lines.
pub(crate) fn assert_same(what: impl Debug, lines: &[Value], expected: &[Value]) {
    for (line, expected) in lines.iter().zip(expected) {
        assert_eq!(line, expected, "{what:?}");
    }
    assert_eq!(lines.len(), expected.len(), "{what:?}");
}

/// A port without a listener.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// A plugin's process, with the URL it printed. Killed when dropped.
pub(crate) struct Plugin {
    pub(crate) url: String,
    child: Child,
}

impl Plugin {
    pub(crate) fn start(end: End, port: u16) -> Plugin {
        Plugin::spawn(end.command().args(["--port", &port.to_string()]))
    }

    /// Starts one that accepts pages of this origin.
    pub(crate) fn start_for(end: End, origin: &str) -> Plugin {
        Plugin::spawn(end.command().args(["--allow-origin", origin]))
    }

    /// Starts a replica at a NATS server.
    #[cfg(feature = "nats")]
    pub(crate) fn start_at(server: &str, replica: &str) -> Plugin {
        Plugin::run_at(&mut Command::new(NATS_PLUGIN), server, replica)
    }

    /// As [`start_at`](Plugin::start_at), by a command that runs [`NATS_PLUGIN`].
    #[cfg(feature = "nats")]
    pub(crate) fn run_at(command: &mut Command, server: &str, replica: &str) -> Plugin {
        Plugin::spawn(command.args(["--server", server, "--replica", replica]))
    }

    fn spawn(command: &mut Command) -> Plugin {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).expect("no ready line");
        assert_eq!(ready["event"], "ready");
        Plugin { url: ready["url"].as_str().unwrap().to_owned(), child }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for its end. Returns whether the exit code is 0.
    pub(crate) fn succeeded(&mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that a program prints before it exits successfully, with each `url` replaced by `URL`.
pub(crate) fn output(command: &mut Command) -> Vec<Value> {
    let program = format!("{command:?}");
    let output = run(command);
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().map(|line| without_urls(serde_json::from_str(line).unwrap())).collect()
}

/// The standard error of a program that fails.
pub(crate) fn failure(command: &mut Command) -> String {
    let output = run(command);
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

fn run(command: &mut Command) -> Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut program = tokio::process::Command::from(std::mem::replace(command, Command::new("")));
    runtime.block_on(async {
        let output = program.stdin(Stdio::null()).kill_on_drop(true).output();
        tokio::time::timeout(LIMIT, output).await.expect("the script hangs").unwrap()
    })
}

fn without_urls(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = without_urls(item.take())),
        Value::Object(fields) => {
            for (name, field) in fields {
                *field = if name == "url" { "URL".into() } else { without_urls(field.take()) };
            }
        }
        _ => {}
    }
    value
}

/// Runs both scripts between every pair of a plugin and an engine with a published end. The bundled one prints the `expected`
/// lines, which may depend on the plugin. The other one (refusals, the manager, `once`, double listeners, odd arguments)
/// prints the lines of the published pair, between the native pair as well.
pub(crate) fn assert_scripts_match(
    ours: (End, End),
    theirs: (End, End),
    expected: impl Fn(End) -> Vec<Value>,
    run: impl Fn(End, End, &Path) -> Vec<Value>,
) {
    published_packages();
    let mixed = [(theirs.0, ours.1), (ours.0, theirs.1)];
    for (plugin, engine) in mixed.into_iter().chain([theirs]) {
        assert_same((plugin, engine), &run(plugin, engine, &bundled()), &expected(plugin));
    }
    let published = run(theirs.0, theirs.1, &more());
    for (plugin, engine) in mixed.into_iter().chain([ours]) {
        assert_same((plugin, engine), &run(plugin, engine, &more()), &published);
    }
}
