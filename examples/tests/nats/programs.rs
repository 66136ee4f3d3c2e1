//! `nats-plugin` and `nats-engine`, and engines in this process.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use connector_core::{CallError, Engine, Plugin as Local, PluginClient};
use serde_json::Value;
use transport_nats::{NatsConfig, NatsReplicas, ReplicaChange};

use crate::broker::Broker;
use crate::support::{
    End, NATIVE_ENGINE, NATIVE_PLUGIN, NATS_ENGINE, NATS_PLUGIN, Plugin, assert_same, bundled, expected, more, output,
};

/// The time limit of every wait.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("it hangs")
}

async fn engine(config: NatsConfig) -> (Engine, PluginClient) {
    let engine = Engine::new();
    let local = engine.register(Local::new("local")).unwrap();
    engine.register(transport_nats::plugin("probe", config)).unwrap();
    for plugin in ["local", "probe"] {
        within(engine.manager().activate(plugin)).await.unwrap();
    }
    (engine, local)
}

pub(crate) fn signal(signal: &str, plugin: &Plugin) {
    assert!(Command::new("kill").args([signal, &plugin.pid().to_string()]).status().unwrap().success());
}

/// Stops a program without ending it. Where the system tells, waits until all its threads stand still, which may take a moment.
pub(crate) fn freeze(plugin: &Plugin) {
    let stands_still = |task: std::io::Result<std::fs::DirEntry>| {
        let status = task.and_then(|task| std::fs::read_to_string(task.path().join("status")));
        status.is_ok_and(|status| status.contains("State:\tT"))
    };
    signal("-STOP", plugin);
    for _ in 0..10_000 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", plugin.pid()));
        if tasks.map_or(true, |mut tasks| tasks.all(stands_still)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("it does not stop");
}

/// A call that runs until its replica is lost.
async fn endless(local: &PluginClient) -> tokio::task::JoinHandle<Result<Value, CallError>> {
    let local = local.clone();
    let call = tokio::spawn(async move { local.call::<Value>("probe", "slow", (600_000, "late")).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    call
}

pub(crate) async fn until_it_answers(local: &PluginClient) {
    within(async {
        while local.call::<String>("probe", "echo", ("back",)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}

#[test]
fn both_scripts_print_the_same_lines_as_over_a_websocket() {
    let broker = Broker::start().unwrap();
    let _plugin = Plugin::start_at(&broker.url(), "one");
    let run =
        |script: &Path| output(Command::new(NATS_ENGINE).args(["--server", &broker.url(), "--script"]).arg(script));
    assert_same("nats", &run(&bundled()), &expected());
    let websocket = Plugin::start(End::Native(NATIVE_PLUGIN), 0);
    let reference = output(Command::new(NATIVE_ENGINE).args(["--url", &websocket.url, "--script"]).arg(more()));
    assert_same("nats", &run(&more()), &reference);
}

/// What it prints on standard error until it is killed, or ends.
fn stderr(mut program: Child) -> String {
    let _ = program.kill();
    String::from_utf8(program.wait_with_output().unwrap().stderr).unwrap()
}

fn piped(program: &mut Command) -> Child {
    program.stdout(Stdio::piped()).stderr(Stdio::piped()).env_remove("RUST_LOG").spawn().unwrap()
}

#[tokio::test]
async fn a_plugin_that_is_given_its_name_is_not_warned_of_it() {
    let broker = Broker::start().unwrap();
    let mut program = piped(Command::new(NATS_PLUGIN).args(["--server", &broker.url(), "--name", "other"]));
    BufReader::new(program.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
    let engine = Engine::new();
    let local = engine.register(Local::new("local")).unwrap();
    engine.register(transport_nats::plugin("other", NatsConfig::new(broker.url()))).unwrap();
    within(engine.manager().activate("local")).await.unwrap();
    assert_eq!(within(local.call::<i64>("other", "add", (1, 2))).await.unwrap(), 3);
    assert_eq!(stderr(program), "");
}

#[test]
fn a_refused_login_is_said_once() {
    let config = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused-login.conf");
    std::fs::write(&config, "authorization { user: host, password: hunter2 }").unwrap();
    let broker = Broker::with_config(config).unwrap();
    let mut program = piped(Command::new(NATS_PLUGIN).args(["--server", &broker.url()]));
    program.wait().unwrap();
    let said = stderr(program);
    assert!(said.starts_with("error: ") && said.contains("does not accept") && said.lines().count() == 1, "{said}");
}

/// Noticed long before an idle peer would be probed.
#[tokio::test]
async fn a_killed_replica_costs_its_calls_and_the_next_replica_serves() {
    let broker = Broker::start().unwrap();
    let first = Plugin::start_at(&broker.url(), "one");
    let config = NatsConfig::new(broker.url()).probe_interval(3 * LIMIT).silence(6 * LIMIT);
    let (engine, local) = engine(config).await;
    let mut down = local.events::<connector_core::Rest>("manager", "linkDown", 8).unwrap();
    let call = endless(&local).await;
    signal("-KILL", &first);
    let lost = within(call).await.unwrap().unwrap_err();
    assert!(matches!(lost, CallError::LinkLost(_)), "{lost:?}");
    let _second = Plugin::start_at(&broker.url(), "two");
    until_it_answers(&local).await;
    assert!(within(down.recv()).await.is_some());
    assert!(tokio::time::timeout(Duration::from_millis(50), down.recv()).await.is_err(), "lost more than once");
    within(engine.shutdown()).await;
}

#[tokio::test]
async fn a_stopped_replica_is_silent_and_its_late_answers_are_ignored() {
    let broker = Broker::start().unwrap();
    let first = Plugin::start_at(&broker.url(), "one");
    let config =
        || NatsConfig::new(broker.url()).probe_interval(Duration::from_millis(500)).silence(Duration::from_secs(2));
    let (engine, local) = engine(config()).await;
    freeze(&first);
    // It is in the replica's socket, and answered when the replica continues.
    let calls: Vec<_> = (0..10).map(|n| local.call::<i64>("probe", "add", (n, 1))).collect();
    for call in calls {
        let lost = within(call).await.unwrap_err();
        assert!(matches!(lost, CallError::LinkLost(_)), "{lost:?}");
    }
    let _second = Plugin::start_at(&broker.url(), "two");
    signal("-CONT", &first);
    until_it_answers(&local).await;
    for n in 0..100 {
        assert_eq!(within(local.call::<i64>("probe", "add", (n, 1000))).await.unwrap(), n + 1000);
    }
    // The first one has ended its session, and serves on.
    let mut replicas = NatsReplicas::new("probe", config()).unwrap();
    let mut found = Vec::new();
    while found.len() < 2 {
        let ReplicaChange::Found { replica, .. } = within(replicas.next()).await else { panic!("a replica is gone") };
        found.push(replica);
    }
    found.sort();
    assert_eq!(found, ["one", "two"]);
    within(engine.shutdown()).await;
}
