//! A plugin's process that is killed and restarted repeatedly under a running engine.
#![cfg(feature = "ws")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use connector_core::{CallError, Engine, Plugin, PluginOptions, Registration};
use support::{End, NATIVE_PLUGIN};
use tokio::time::timeout;

/// The time limit of every wait.
const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn over_websockets() {
    survives(20, End::Native(NATIVE_PLUGIN), |url| transport_ws::plugin("probe", url)).await;
}

#[cfg(feature = "socketio")]
#[tokio::test(flavor = "multi_thread")]
async fn over_socketio() {
    survives(20, End::Native(support::SOCKETIO_PLUGIN), |url| transport_socketio::plugin("probe", url)).await;
}

#[cfg(feature = "socketio")]
#[tokio::test(flavor = "multi_thread")]
#[cfg_attr(not(has_node), ignore = "needs Node")]
async fn over_socketio_with_the_published_plugin() {
    support::published_packages();
    survives(5, End::JavaScript("socketio-plugin.js"), |url| transport_socketio::plugin("probe", url)).await;
}

/// Checks that calls and subscriptions continue after each restart.
async fn survives(restarts: u64, end: End, plugin: impl Fn(&str) -> Registration) {
    let mut process = support::Plugin::start(end, 0);
    let port = process.port();
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local")).unwrap();
    let options = PluginOptions::default().concurrency(2);
    engine.register(plugin(&process.url).options(options)).unwrap();
    engine.manager().activate("local").await.unwrap();
    engine.manager().activate("probe").await.unwrap();
    let mut link = engine.link_state("probe").unwrap();
    let received = Arc::new(AtomicU64::new(0));
    let counts = Arc::clone(&received);
    local
        .on("probe", "changed", move |_: u64| {
            counts.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();

    for round in 0..restarts {
        let fired: bool = timeout(LIMIT, local.call("probe", "fire", ("changed", round))).await.unwrap().unwrap();
        assert!(fired);
        // The event arrived before the response.
        assert_eq!(received.load(Ordering::SeqCst), round + 1);

        let caller = local.clone();
        let in_flight = tokio::spawn(async move { caller.call::<u64>("probe", "slow", (60_000, 1)).await });
        let beside: u64 = timeout(LIMIT, local.call("probe", "echo", (round,))).await.unwrap().unwrap();
        assert_eq!(beside, round);
        drop(process);
        let ended = timeout(LIMIT, in_flight).await.expect("a call in flight ends with its link").unwrap();
        assert!(matches!(ended, Err(CallError::LinkLost(_))), "{ended:?}");
        timeout(LIMIT, link.wait_for(|state| !state.is_up())).await.unwrap().unwrap();
        let meanwhile = timeout(LIMIT, local.call::<u64>("probe", "echo", (1,))).await.expect("no call hangs");
        assert!(matches!(meanwhile, Err(CallError::LinkLost(_))), "{meanwhile:?}");

        process = support::Plugin::start(end, port);
        timeout(LIMIT, link.wait_for(|state| state.is_up())).await.expect("the link does not reconnect").unwrap();
    }
    assert_eq!(local.call::<u64>("probe", "echo", (7,)).await.unwrap(), 7);
    engine.shutdown().await;
}
