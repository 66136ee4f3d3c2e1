//! A program's descendants end with it, even if they left its process group.

use std::path::Path;
use std::time::Duration;

use connector_core::Engine;
use transport_ipc::child;

use crate::support::*;

/// Ways to start a descendant. Each writes the pid of a process that does not end on its own to the file `$file`.
const WAYS: [&str; 5] = [
    r#"setsid sh -c 'echo $$ >"$0.new"; mv "$0.new" "$0"; exec sleep 1000' "$file" & "#,
    // A double fork, as a daemon does.
    r#"(setsid sh -c 'sleep 1000 & echo $! >"$0.new"; mv "$0.new" "$0"' "$file" &); "#,
    r#"(setsid sh -c 'cd /; exec >/dev/null 2>&1 </dev/null; (sleep 1000 & echo $! >"$0.new"; mv "$0.new" "$0") &' "$file" &); "#,
    r#"nohup setsid sh -c 'trap "" TERM HUP INT; echo $$ >"$0.new"; mv "$0.new" "$0"; while :; do sleep 1; done' "$file" >/dev/null 2>&1 & "#,
    // It stays in the group.
    r#"sleep 1000 & echo $! >"$file.new"; mv "$file.new" "$file"; "#,
];

fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().and_then(|rest| rest.chars().next()).is_some_and(|state| state != 'Z')
}

async fn until_gone(pid: &str) {
    soon(async {
        while lives(pid) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

async fn pid_in(file: &Path) -> String {
    soon(async {
        loop {
            match std::fs::read_to_string(file) {
                Ok(pid) => return pid.trim().to_owned(),
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    })
    .await
}

/// A host whose plugin `p` has started a descendant, and runs `then` when it is called; and the descendant's pid.
async fn started(way: &str, then: &str, file: &Path) -> (Host, String) {
    let host = Host::new().await;
    let script = format!("file='{}'; {way}{HANDSHAKE}{then}", file.display());
    host.activate(child("p", shell(&script))).await.unwrap();
    (host, pid_in(file).await)
}

async fn assert_ends(way: &str, then: &str, end: impl AsyncFnOnce(Host)) {
    let folder = tempfile::tempdir().unwrap();
    let (host, pid) = started(way, then, &folder.path().join("pid")).await;
    assert!(lives(&pid), "{way}");
    end(host).await;
    until_gone(&pid).await;
}

#[tokio::test]
async fn descendants_end_with_a_deactivation() {
    for way in WAYS {
        assert_ends(way, "exec sleep 1000", async |host: Host| {
            soon(host.engine.manager().deactivate("p")).await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn descendants_end_with_the_program_however_it_ends() {
    for way in WAYS {
        for then in ["exit 0", "exit 3", "kill -9 $$"] {
            assert_ends(way, then, async |host: Host| {
                host.call().await.unwrap_err();
            })
            .await;
        }
    }
}

#[tokio::test]
async fn descendants_end_with_the_engine() {
    for way in WAYS {
        assert_ends(way, "exec sleep 1000", async |host: Host| drop(host)).await;
        assert_ends(way, "exec sleep 1000", async |host: Host| soon(host.engine.shutdown()).await).await;
    }
}

/// No task of the runtime is left to supervise it.
#[test]
fn descendants_end_with_the_engines_runtime() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (host, pid) = first.block_on(started(WAYS[1], "exec sleep 1000", &folder.path().join("pid")));
    drop(first);
    runtime().block_on(until_gone(&pid));
    drop(host);
}

#[tokio::test]
async fn descendants_of_other_programs_and_unmarked_ones_survive() {
    let folder = tempfile::tempdir().unwrap();
    let (one, one_pid) = started(WAYS[1], "exec sleep 1000", &folder.path().join("one")).await;
    let left = WAYS[0].replace("setsid", "env -u PLUGIN_FAMILY setsid");
    let (two, two_pid) = started(&left, "exec sleep 1000", &folder.path().join("two")).await;
    soon(two.engine.shutdown()).await;
    assert!(lives(&one_pid), "another program's");
    assert!(lives(&two_pid), "it has removed the variable");
    let pid = rustix::process::Pid::from_raw(two_pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    soon(one.engine.shutdown()).await;
    until_gone(&one_pid).await;
    assert!(!lives(&one_pid));
    drop(Engine::new());
}
