//! Programs on every channel, native, published and in Python: they stay up while idle, and are detected when stopped.
#![cfg(all(unix, feature = "ipc"))]

mod support;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use connector_core::{Engine, Event, EventStream, LinkState, Plugin, PluginOptions, Rest};
use support::{IPC_PLUGIN, js, need, published_packages};
use tokio::time::timeout;
use transport_ipc::{ChannelKind, Program};

/// The time limit of every wait.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a health check may take, even on a busy machine.
const ANSWER: Duration = Duration::from_secs(5);

/// A program that can be stopped by its pid, which the shell records before it execs the program.
struct Stoppable {
    folder: PathBuf,
}

impl Stoppable {
    fn new(name: &str) -> Stoppable {
        let folder = std::env::temp_dir().join(format!("silence-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Stoppable { folder }
    }

    fn program(&self, program: &str, args: &[OsString]) -> Program {
        let script = r#"echo $$ > "$FOLDER/pid"; exec "$0" "$@""#;
        Program::new("/bin/sh").arg("-c").arg(script).arg(program).args(args).env("FOLDER", &self.folder)
    }

    fn id(&self) -> String {
        std::fs::read_to_string(self.folder.join("pid")).unwrap().trim().to_owned()
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn next(events: &mut EventStream) -> Vec<String> {
    match timeout(LIMIT, events.recv()).await.expect("it is not detected") {
        Some(Event::Args(Rest(args))) => args.into_iter().map(|arg| arg.read().unwrap()).collect(),
        other => panic!("{other:?}"),
    }
}

async fn stays_up_idle_and_is_detected_stopped(name: &str, program: &str, args: &[OsString], channel: ChannelKind) {
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local")).unwrap();
    engine.manager().activate("local").await.unwrap();
    let stoppable = Stoppable::new(name);
    let options = PluginOptions::default()
        .health_interval(Duration::from_millis(100))
        .handshake_timeout(ANSWER)
        .activation_timeout(LIMIT);
    let child = transport_ipc::child("p", stoppable.program(program, args).channel(channel));
    engine.register(child.options(options)).unwrap();
    timeout(LIMIT, engine.manager().activate("p")).await.expect("the activation hangs").unwrap();
    let mut state = engine.link_state("p").unwrap();

    let mut down = local.events("manager", "linkDown", 8).unwrap();
    let mut updated = local.events("manager", "profileUpdated", 8).unwrap();
    let idle = async {
        tokio::select! { what = down.recv() => what, what = updated.recv() => what }
    };
    // After many health checks; it would be down by now if it did not answer.
    let event = timeout(ANSWER + Duration::from_secs(1), idle).await;
    assert!(event.is_err() && state.borrow().is_up(), "{event:?}");

    let id = stoppable.id();
    assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
    let args = next(&mut down).await;
    assert!(args[0] == "p" && args[1].starts_with("silent"), "{args:?}");
    timeout(LIMIT, state.wait_for(LinkState::is_up)).await.expect("it is never restarted").unwrap();
    assert_ne!(stoppable.id(), id);
    timeout(LIMIT, engine.shutdown()).await.expect("the shutdown hangs");
}

#[tokio::test]
async fn a_native_plugin_on_stdio() {
    stays_up_idle_and_is_detected_stopped("stdio", IPC_PLUGIN, &[], ChannelKind::Stdio).await;
}

#[tokio::test]
async fn a_native_plugin_on_nodes_channel() {
    stays_up_idle_and_is_detected_stopped("node", IPC_PLUGIN, &[], ChannelKind::Node).await;
}

#[tokio::test]
async fn a_native_plugin_on_a_local_socket() {
    stays_up_idle_and_is_detected_stopped("local", IPC_PLUGIN, &[], ChannelKind::Local).await;
}

#[tokio::test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
async fn a_published_plugin() {
    published_packages();
    let script = js().join("fork-plugin.js").into();
    stays_up_idle_and_is_detected_stopped("published", "node", &[script], ChannelKind::Node).await;
}

#[tokio::test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
async fn a_plugin_in_python() {
    need("python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/plugin.py").into();
    stays_up_idle_and_is_detected_stopped("python", "python3", &[script], ChannelKind::Stdio).await;
}
