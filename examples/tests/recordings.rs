//! The script of the published packages, recorded on each transport, and replayed to each end without a difference.
#![cfg(all(feature = "ipc", feature = "socketio", feature = "worker", feature = "ws"))]

mod support;

use std::path::Path;
use std::time::Duration;

use conformance::{Script, probe, run_script};
use connector_core::{ClientConfig, ClientConnector, Engine, ExternalProfile, Plugin, Registration, runtime, serve};
use connector_inspect::{Capture, Recorder, RecorderOptions, Replay, Report, as_plugin};
use serde_json::{Value, json};
use support::{End, IPC_PLUGIN, NATIVE_PLUGIN, Plugin as Process, SOCKETIO_PLUGIN, assert_same, expected};
use transport_ipc::local::{LocalConfig, LocalName, LocalServer};
use transport_ipc::{ChannelKind, Program};
use transport_socketio::{SocketIoServer, SocketIoServerConfig};
use transport_worker::{Placement, WorkerConfig, pair, worker_with};
use transport_ws::{WsServer, WsServerConfig};

/// The probe at a location, and a guard that keeps it running.
async fn probe_at(location: &str) -> (Registration, Box<dyn std::any::Any>) {
    let child = |kind| transport_ipc::child("probe", Program::new(IPC_PLUGIN).channel(kind));
    let worker = |placement| worker_with("probe", probe, WorkerConfig::default().placement(placement));
    let alone = |registration| (registration, Box::new(()) as Box<dyn std::any::Any>);
    match location {
        "websocket" => {
            let process = Process::start(End::Native(NATIVE_PLUGIN), 0);
            (transport_ws::plugin("probe", &process.url), Box::new(process))
        }
        "socketio" => {
            let process = Process::start(End::Native(SOCKETIO_PLUGIN), 0);
            (transport_socketio::plugin("probe", &process.url), Box::new(process))
        }
        "stdio child" => alone(child(ChannelKind::Stdio)),
        "node child" => alone(child(ChannelKind::Node)),
        "socket child" => alone(child(ChannelKind::Local)),
        "local socket" => {
            let server = LocalServer::bind(&LocalName::unique(), LocalConfig::default()).unwrap();
            let url = server.url();
            let serving = serve(server, probe, ClientConfig::default());
            let serving = runtime::spawn(async { drop(serving.await) });
            (transport_ipc::local::plugin("probe", &url), Box::new(serving))
        }
        "thread" => alone(worker(Placement::Thread)),
        "task" => alone(worker(Placement::Task)),
        other => unreachable!("{other}"),
    }
}

/// Runs the script against the plugin, and compares what it prints.
async fn run(engine: &Engine, plugin: Registration) {
    engine.register(plugin).unwrap();
    let (script, mut lines) = (Script::parse(conformance::SCRIPT).unwrap(), Vec::<Value>::new());
    run_script(engine, &script, |line| lines.push(serde_json::from_str(&line).unwrap())).await.unwrap();
    engine.shutdown().await;
    assert_same("the script", &lines, &expected());
}

async fn record(plugin: Registration, path: &Path) {
    let engine = Engine::new();
    let options = RecorderOptions::default().capture(Capture::new().max_data(16 << 20).values(true));
    let recorder = Recorder::start(&engine, path, options).unwrap();
    run(&engine, plugin).await;
    assert_eq!(recorder.finish().unwrap().missed, 0);
}

#[track_caller]
fn assert_no_difference(report: &Report, location: &str) {
    assert!(report.differences.is_empty() && report.exchanged > 50, "{location}: {report}");
}

/// Records the script with the plugin at a location, and replays the engine to another one there.
async fn replays_the_engine(location: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let (plugin, _running) = probe_at(location).await;
    record(plugin, &path).await;
    let (plugin, _running) = probe_at(location).await;
    let mut replay = Replay::engine(&path, "probe").unwrap();
    replay.dial(plugin).await.unwrap();
    assert_no_difference(&replay.finish(), location);
}

macro_rules! replayed_to_a_plugin {
    ($($test:ident $location:literal)*) => {
        mod to_a_plugin {
            $(#[tokio::test]
            async fn $test() {
                super::replays_the_engine($location).await;
            })*
        }
    };
}

replayed_to_a_plugin! {
    behind_a_websocket "websocket"
    behind_socketio "socketio"
    in_a_child_with_stdio "stdio child"
    in_a_child_with_nodes_channel "node child"
    in_a_child_with_a_socket "socket child"
    behind_a_local_socket "local socket"
    in_a_thread "thread"
    in_a_task "task"
}

/// Replays the plugin to an engine that runs the script.
async fn replays_the_plugin(location: &str, mut engines: impl ClientConnector, plugin: Registration, path: &Path) {
    let engine = Engine::new();
    let mut replay = Replay::plugin(path, "probe").unwrap();
    let played = async {
        while replay.sessions_left() > 0 {
            let link = engines.accept().await.unwrap();
            replay.play(link).await;
        }
    };
    tokio::join!(played, run(&engine, plugin));
    assert_no_difference(&replay.finish(), location);
}

#[tokio::test]
async fn replayed_to_an_engine_over_each_transport() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    let (plugin, _running) = probe_at("thread").await;
    record(plugin, &path).await;

    let server = WsServer::bind("127.0.0.1:0", WsServerConfig::default()).await.unwrap();
    let plugin = transport_ws::plugin("probe", &server.url());
    replays_the_plugin("websocket", server, plugin, &path).await;

    let server = SocketIoServer::bind("127.0.0.1:0", SocketIoServerConfig::default()).await.unwrap();
    let plugin = transport_socketio::plugin("probe", &server.url());
    replays_the_plugin("socketio", server, plugin, &path).await;

    let server = LocalServer::bind(&LocalName::unique(), LocalConfig::default()).unwrap();
    let plugin = transport_ipc::local::plugin("probe", &server.url());
    replays_the_plugin("local socket", server, plugin, &path).await;

    let (connector, client) = pair(256);
    let plugin = Registration::behind(ExternalProfile::new("probe", "worker:probe"), connector);
    replays_the_plugin("worker", client, plugin, &path).await;
}

#[tokio::test]
async fn a_plugin_that_behaves_differently_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    record(probe_at("task").await.0, &path).await;
    let mut replay = Replay::engine(&path, "probe").unwrap().timeout(Duration::from_millis(500));
    let other = || probe().method("add", || async { "no sum" });
    replay.dial(worker_with("probe", other, WorkerConfig::default())).await.unwrap();
    let report = replay.finish();
    assert!(!report.differences.is_empty());
    for difference in &report.differences {
        assert!(difference.to_string().contains("no sum"), "{difference}");
    }
}

#[tokio::test]
async fn a_recording_is_a_mock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.ndjson");
    record(probe_at("thread").await.0, &path).await;
    let engine = Engine::new();
    engine.register(as_plugin(&path, "probe").unwrap()).unwrap();
    let app = engine.register(Plugin::new("app")).unwrap();
    engine.manager().activate("app").await.unwrap();
    let mut events = app.events::<(Value,)>("probe", "changed", 16).unwrap();
    assert_eq!(app.call::<i64>("probe", "add", (2, 3)).await.unwrap(), 5);
    assert_eq!(app.call::<String>("probe.tools", "ping", ()).await.unwrap(), "pong");
    assert_eq!(app.call::<()>("probe", "fail", ("on purpose",)).await.unwrap_err().to_string(), "on purpose");
    assert!(app.call::<bool>("probe", "fire", ("changed", 3)).await.unwrap());
    assert_eq!(
        format!("{:?}", events.recv().await.unwrap()),
        format!("{:?}", connector_core::Event::Args((json!(3),)))
    );
    let error = app.call::<i64>("probe", "add", (7, 7)).await.unwrap_err().to_string();
    assert!(error.contains("no call of add with the arguments [7,7]; it has: [2,3]"), "{error}");
    let error = as_plugin(&path, "nobody").unwrap_err().to_string();
    assert!(error.contains("no link of a plugin \"nobody\"; it has links of: probe"), "{error}");
}
