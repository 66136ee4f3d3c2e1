//! A plugin's program that is interrupted: running methods complete, and its host sees a closed link.
#![cfg(all(unix, any(feature = "ipc", feature = "socketio", feature = "ws")))]

mod support;

use std::time::Duration;

use connector_core::{Engine, LinkEnd, LinkState, Plugin, PluginOptions, Registration};
use tokio::time::timeout;

/// The time limit of every wait.
const LIMIT: Duration = Duration::from_secs(60);

fn interrupt(pid: u32, signal: &str) {
    let sent = std::process::Command::new("kill").args([signal, &pid.to_string()]).status().unwrap();
    assert!(sent.success());
}

/// Interrupts the program while a method runs, and returns the link's end.
async fn interrupted(registration: Registration, pid: impl AsyncFnOnce(&Engine) -> u32, signal: &str) -> LinkEnd {
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local")).unwrap();
    engine.manager().activate("local").await.unwrap();
    engine.register(registration.options(PluginOptions::default().concurrency(8))).unwrap();
    timeout(LIMIT, engine.manager().activate("probe")).await.unwrap().unwrap();
    let pid = pid(&engine).await;
    let mut state = engine.link_state("probe").unwrap();
    let caller = local.clone();
    let running = tokio::spawn(async move { caller.call::<u64>("probe", "slow", (500, 7)).await });
    // The test's runtime has one thread: the task has made its call now. Calls start in order, so that the slow one runs
    // when the next is answered.
    tokio::task::yield_now().await;
    timeout(LIMIT, local.call::<u64>("probe", "echo", (1,))).await.unwrap().unwrap();
    interrupt(pid, signal);
    assert_eq!(timeout(LIMIT, running).await.unwrap().unwrap().unwrap(), 7, "the running method completes");
    let down = |state: &LinkState| matches!(state, LinkState::Down { .. });
    let state = timeout(LIMIT, state.wait_for(down)).await.unwrap().unwrap().clone();
    let LinkState::Down { why, .. } = state else { unreachable!() };
    why
}

/// Interrupts a plugin's server with each signal, and returns how each link ended.
#[cfg(any(feature = "socketio", feature = "ws"))]
async fn interrupted_server(program: &'static str, registration: fn(&str) -> Registration) -> Vec<LinkEnd> {
    let mut ends = Vec::new();
    for signal in ["-INT", "-TERM"] {
        let mut plugin = support::Plugin::start(support::End::Native(program), 0);
        ends.push(interrupted(registration(&plugin.url), async |_: &Engine| plugin.pid(), signal).await);
        assert!(plugin.succeeded(), "{signal}");
    }
    ends
}

#[cfg(feature = "ws")]
#[tokio::test]
async fn behind_a_websocket() {
    let ends = interrupted_server(support::NATIVE_PLUGIN, |url| transport_ws::plugin("probe", url)).await;
    assert!(ends.iter().all(|end| matches!(end, LinkEnd::Closed { code: Some(1000), .. })), "{ends:?}");
}

#[cfg(feature = "socketio")]
#[tokio::test]
async fn behind_socketio() {
    let ends = interrupted_server(support::SOCKETIO_PLUGIN, |url| transport_socketio::plugin("probe", url)).await;
    assert!(ends.iter().all(|end| matches!(end, LinkEnd::Closed { .. })), "{ends:?}");
}

#[cfg(all(feature = "ipc", target_os = "linux"))]
#[tokio::test]
async fn in_a_child_on_every_channel() {
    use support::IPC_PLUGIN;
    use transport_ipc::{ChannelKind, Program};

    /// The child of this process with that mark in its environment.
    fn child(mark: &str) -> u32 {
        let mut pids =
            std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
        let is = |pid: &u32| {
            let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
        };
        pids.find(is).expect("no such child")
    }

    for channel in [ChannelKind::Stdio, ChannelKind::Node, ChannelKind::Local] {
        // Another run of this test may be in progress.
        let mark = format!("{channel:?} of {}", std::process::id());
        let program = Program::new(IPC_PLUGIN).channel(channel).env("STOP_TEST", &mark);
        let registration = transport_ipc::child("probe", program);
        let end = interrupted(registration, async |_: &Engine| child(&format!("STOP_TEST={mark}")), "-TERM").await;
        // It stays down afterwards, because it exited successfully.
        let text = end.to_string();
        assert!(text.contains("exit status: 0"), "{channel:?}: {text}");
        assert!(
            matches!(end, LinkEnd::Closed { .. } | LinkEnd::Unreachable(connector_core::ConnectError::GivenUp(_))),
            "{channel:?}: {end:?}"
        );
    }
}

#[cfg(feature = "ipc")]
#[tokio::test]
async fn a_child_finds_its_engine_with_other_directories_in_its_environment() {
    use support::IPC_PLUGIN;
    use transport_ipc::{ChannelKind, Program};

    let folder = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let program = || Program::new(IPC_PLUGIN).channel(ChannelKind::Local);
    for program in [
        program().env("TMPDIR", &folder),
        program().env("TMPDIR", &folder).env("XDG_RUNTIME_DIR", &folder).current_dir("/"),
        program().env("TMPDIR", "relative").env("XDG_RUNTIME_DIR", "").current_dir(&folder),
        program().inherit_env(["PATH"]),
        program().inherit_env(["PATH"]).env("TMPDIR", "/nowhere"),
    ] {
        let engine = Engine::new();
        engine.register(transport_ipc::child("probe", program)).unwrap();
        timeout(LIMIT, engine.manager().activate("probe")).await.unwrap().unwrap();
        timeout(LIMIT, engine.shutdown()).await.unwrap();
    }
}
