//! Programs on every channel, native, published and in Python: they live while they are idle, and are found when they
//! are stopped.
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

/// Nothing may take longer.
const LIMIT: Duration = Duration::from_secs(60);
/// How long a plugin that is asked may take, also on a machine that is busy.
const ANSWER: Duration = Duration::from_secs(5);

/// Stopped and continued by its id, which the shell writes down before it becomes the program.
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
    match timeout(LIMIT, events.recv()).await.expect("nobody notices") {
        Some(Event::Args(Rest(args))) => args.into_iter().map(|arg| arg.read().unwrap()).collect(),
        other => panic!("{other:?}"),
    }
}

async fn lives_idle_and_is_found_stopped(name: &str, program: &str, args: &[OsString], channel: ChannelKind) {
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
    // Asked many times; it would be down by then if it did not answer.
    let heard = timeout(ANSWER + Duration::from_secs(1), idle).await;
    assert!(heard.is_err() && state.borrow().is_up(), "{heard:?}");

    let id = stoppable.id();
    assert!(Command::new("kill").args(["-STOP", &id]).status().unwrap().success());
    let told = next(&mut down).await;
    assert!(told[0] == "p" && told[1].starts_with("silent"), "{told:?}");
    timeout(LIMIT, state.wait_for(LinkState::is_up)).await.expect("it is never started again").unwrap();
    assert_ne!(stoppable.id(), id);
    timeout(LIMIT, engine.shutdown()).await.expect("the shutdown hangs");
}

#[tokio::test]
async fn a_native_plugin_on_stdio() {
    lives_idle_and_is_found_stopped("stdio", IPC_PLUGIN, &[], ChannelKind::Stdio).await;
}

#[tokio::test]
async fn a_native_plugin_on_nodes_channel() {
    lives_idle_and_is_found_stopped("node", IPC_PLUGIN, &[], ChannelKind::Node).await;
}

#[tokio::test]
async fn a_native_plugin_on_a_local_socket() {
    lives_idle_and_is_found_stopped("local", IPC_PLUGIN, &[], ChannelKind::Local).await;
}

#[tokio::test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
async fn a_published_plugin() {
    published_packages();
    let script = js().join("fork-plugin.js").into();
    lives_idle_and_is_found_stopped("published", "node", &[script], ChannelKind::Node).await;
}

#[tokio::test]
#[cfg_attr(not(has_python), ignore = "needs Python")]
async fn a_plugin_in_python() {
    need("python3");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/plugin.py").into();
    lives_idle_and_is_found_stopped("python", "python3", &[script], ChannelKind::Stdio).await;
}
