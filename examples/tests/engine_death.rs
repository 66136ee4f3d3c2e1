//! The plugins' processes end with an engine that is killed.
#![cfg(all(feature = "ipc", target_os = "linux"))]

mod support;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use support::{IPC_ENGINE, IPC_PLUGIN};

/// The time limit of every wait.
const LIMIT: Duration = Duration::from_secs(30);

/// An engine's process that runs a script without an end.
struct Engine(Child);

impl Engine {
    /// Starts it and waits until its plugin is active.
    fn start(test: &str, args: &[&str]) -> Engine {
        let script = file(test, "json");
        let steps = r#"[{"do":"activate","name":"local"},{"do":"activate","name":"probe"},{"do":"wait","ms":600000}]"#;
        std::fs::write(&script, steps).unwrap();
        let mut command = Command::new(IPC_ENGINE);
        command.args(args).arg("--script").arg(script).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut engine = Engine(command.spawn().unwrap());
        let lines = BufReader::new(engine.0.stdout.take().unwrap()).lines();
        let (sender, received) = mpsc::channel();
        // Ends with the engine.
        std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
        for step in ["local", "probe"] {
            let line: serde_json::Value = serde_json::from_str(&received.recv_timeout(LIMIT).unwrap()).unwrap();
            assert!(line.get("error").is_none(), "{step}: {line}");
        }
        engine
    }

    fn children(&self) -> Vec<u32> {
        let mut children = vec![];
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if stat(pid).is_some_and(|(_, parent)| parent == self.0.id()) {
                children.push(pid);
            }
        }
        children
    }

    /// Kills it without a chance to clean up.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn file(test: &str, extension: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{test}-{}.{extension}", std::process::id()))
}

/// A process's state and parent.
fn stat(pid: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// A zombie counts as gone: its new parent may be slow to reap it.
fn until_gone(pid: u32) {
    let began = Instant::now();
    while stat(pid).is_some_and(|(state, _)| state != 'Z') {
        assert!(began.elapsed() < LIMIT, "process {pid} outlived its engine");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_foreign_child_that_ignores_signals_ends_with_its_engine() {
    let pid_file = file("foreign", "pid");
    // The engine's first handshake has the id -2. Ignored signals stay ignored across `exec`.
    let script = r#"trap '' TERM HUP; echo $$ >"$1"
        printf '{"action":"response","id":-2,"key":"handshake","payload":[]}\n'
        exec sleep 600"#;
    let path = pid_file.to_str().unwrap();
    let args = ["--exec", "/bin/sh", "--arg", "-c", "--arg", script, "--arg", "plugin", "--arg", path];
    let engine = Engine::start("foreign", &args);
    let pid: u32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    assert_eq!(engine.children(), [pid]);
    engine.kill();
    until_gone(pid);
}

fn a_native_child_ends_with_its_engine(channel: &str) {
    let engine = Engine::start(channel, &["--exec", IPC_PLUGIN, "--channel", channel]);
    let children = engine.children();
    let &[pid] = &children[..] else { panic!("{children:?}") };
    engine.kill();
    until_gone(pid);
}

#[test]
fn a_native_child_on_stdio_ends_with_its_engine() {
    a_native_child_ends_with_its_engine("stdio");
}

#[test]
fn a_native_child_on_nodes_channel_ends_with_its_engine() {
    a_native_child_ends_with_its_engine("node");
}

/// Including those that left the program's process group.
#[test]
fn descendants_of_a_child_end_with_the_engine() {
    let ways = [
        ("in its group", "sleep 600 & echo $! >\"$1\""),
        ("in its own session", "setsid sh -c 'echo $$ >\"$0\"; exec sleep 600' \"$1\" &"),
        ("a daemon", "(setsid sh -c 'sleep 600 >/dev/null 2>&1 & echo $! >\"$0\"' \"$1\" &);"),
    ];
    for (n, (way, start)) in ways.into_iter().enumerate() {
        let pid_file = file(&format!("started-{n}"), "pid");
        let _ = std::fs::remove_file(&pid_file);
        let script = format!(
            r#"{start}
            until [ -s "$1" ]; do sleep 0.01; done
            printf '{{"action":"response","id":-2,"key":"handshake","payload":[]}}\n'
            exec sleep 600"#
        );
        let path = pid_file.to_str().unwrap();
        let args = ["--exec", "/bin/sh", "--arg", "-c", "--arg", &script, "--arg", "plugin", "--arg", path];
        let engine = Engine::start(&format!("started-{n}"), &args);
        let pid: u32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
        assert!(stat(pid).is_some_and(|(state, _)| state != 'Z'), "{way}");
        engine.kill();
        until_gone(pid);
    }
}

/// An engine within a plugin's program passes on the mark of that program.
#[test]
fn descendants_of_a_nested_engine_end_with_the_outer_engine() {
    let (script, pid_file) = (file("inner", "json"), file("inner", "pid"));
    let _ = std::fs::remove_file(&pid_file);
    let steps = r#"[{"do":"activate","name":"local"},{"do":"activate","name":"probe"},{"do":"wait","ms":600000}]"#;
    std::fs::write(&script, steps).unwrap();
    let inner = r#"setsid sh -c 'echo $$ >"$0"; exec sleep 600' "$1" &
        until [ -s "$1" ]; do sleep 0.01; done
        printf '{"action":"response","id":-2,"key":"handshake","payload":[]}\n'
        exec sleep 600"#;
    let outer = r#""$1" --exec /bin/sh --arg -c --arg "$2" --arg plugin --arg "$3" --script "$4" >/dev/null &
        until [ -s "$3" ]; do sleep 0.01; done
        printf '{"action":"response","id":-2,"key":"handshake","payload":[]}\n'
        exec sleep 600"#;
    let (pids, script) = (pid_file.to_str().unwrap(), script.to_str().unwrap());
    let mut args = vec!["--exec", "/bin/sh"];
    for arg in ["-c", outer, "plugin", IPC_ENGINE, inner, pids, script] {
        args.extend(["--arg", arg]);
    }
    let engine = Engine::start("outer", &args);
    let pid: u32 = std::fs::read_to_string(&pid_file).unwrap().trim().parse().unwrap();
    assert!(stat(pid).is_some());
    engine.kill();
    until_gone(pid);
}
