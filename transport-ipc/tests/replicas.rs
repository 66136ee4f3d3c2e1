//! A plugin whose replicas are processes, written as a shell script.
#![cfg(all(unix, feature = "plugin"))]

use std::collections::BTreeSet;
use std::time::Duration;

use conformance::engine_with;
use connector_core::{CallError, LinkLost, Plugin, PluginClient, PluginOptions, Replicas};
use tokio::time::timeout;
use transport_ipc::{ChildConnector, ChildEnd, Program};

/// The time limit of every wait.
const LIMIT: Duration = Duration::from_secs(30);

/// Answers `who` with its process number, `wait` after a second, and does not survive `die`.
const SCRIPT: &str = r#"
answer() { printf '{"action":"response","id":%s,"key":"%s","payload":%s}\n' "$1" "$2" "$3"; }
answer -2 handshake '["who","wait","die"]'
while read -r line; do
    id=$(printf '%s' "$line" | sed 's/.*"id":\(-*[0-9]*\).*/\1/')
    case $line in
        *'"key":"who"'*) answer "$id" who $$ ;;
        *'"key":"wait"'*) sleep 1; answer "$id" wait $$ ;;
        *'"key":"die"'*) kill -9 $$ ;;
    esac
done
"#;

async fn call(local: &PluginClient, method: &str) -> Result<u32, CallError> {
    timeout(LIMIT, local.call("p", method, ())).await.expect("the call hangs")
}

async fn processes(local: &PluginClient) -> BTreeSet<u32> {
    let mut processes = BTreeSet::new();
    for _ in 0..6 {
        processes.insert(call(local, "who").await.unwrap());
    }
    processes
}

/// Waits until three processes answer.
async fn all(local: &PluginClient) -> BTreeSet<u32> {
    let three = async {
        loop {
            let processes = processes(local).await;
            if processes.len() == 3 {
                return processes;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(LIMIT, three).await.expect("some replica does not join")
}

#[tokio::test]
async fn a_process_that_dies_costs_its_own_call_and_is_started_again() {
    let (engine, local) = engine_with(Plugin::new("local")).await;
    let program = || ChildConnector::new(Program::new("/bin/sh").arg("-c").arg(SCRIPT));
    let replicas =
        ["a", "b", "c"].into_iter().fold(Replicas::new("p"), |it, name| it.replica(name, "child:", program()));
    engine.register(replicas.options(PluginOptions::default())).unwrap();
    timeout(LIMIT, engine.manager().activate("p")).await.unwrap().unwrap();
    let before = all(&local).await;
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let local = local.clone();
            tokio::spawn(async move { call(&local, "wait").await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let died = call(&local, "die").await.unwrap_err();
    let CallError::LinkLost(lost) = &died else { panic!("{died:?}") };
    assert!(matches!(&**lost, LinkLost::Observed { .. }), "{lost:?}");
    assert!(ChildEnd::of(&died).is_some(), "{died:?}");
    for call in waiting {
        assert!(before.contains(&call.await.unwrap().unwrap()), "the others are not affected");
    }
    let after = all(&local).await;
    assert_eq!(before.intersection(&after).count(), 2, "{before:?} {after:?}");
    timeout(LIMIT, engine.shutdown()).await.unwrap();
    for process in after {
        assert!(!std::path::Path::new(&format!("/proc/{process}/cmdline")).exists(), "process {process} is left");
    }
}
