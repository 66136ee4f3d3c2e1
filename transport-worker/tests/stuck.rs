//! Plugins that do not end on request.
#![cfg(feature = "plugin")]

mod support;

use std::future::pending;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use conformance::traces;
use connector_core::Plugin;
use support::{Host, LIMIT, MOMENT, PLACEMENTS, placed, threads, until_threads};
use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::Level;
use transport_worker::WorkerConfig;

/// A plugin whose method `wait` notifies the test and blocks its thread until released.
fn blocking(name: &'static str) -> (mpsc::Sender<()>, Arc<Notify>, impl Fn() -> Plugin + Send + Sync) {
    let (release, wait) = mpsc::channel::<()>();
    let (wait, blocks) = (Arc::new(Mutex::new(wait)), Arc::new(Notify::new()));
    let notify = Arc::clone(&blocks);
    let make = move || {
        let (wait, notify) = (Arc::clone(&wait), Arc::clone(&notify));
        Plugin::new(name).method("one", || async { 1 }).method("wait", move || {
            notify.notify_one();
            let _ = wait.lock().unwrap().recv();
            async {}
        })
    };
    (release, blocks, make)
}

/// The engine has one thread: a join there would never end.
#[tokio::test]
async fn a_blocked_plugin_is_traced_and_no_other_is_started() {
    let traces = traces(Level::WARN);

    let (release, blocks, make) = blocking("stuck");
    let host = Host::with("stuck", WorkerConfig::default().exit_timeout(Duration::from_millis(100)), make).await;
    let local = host.local.clone();
    let blocked = tokio::spawn(async move { local.call::<()>("stuck", "wait", ()).await });
    timeout(LIMIT, blocks.notified()).await.unwrap();

    timeout(LIMIT, host.engine.manager().deactivate("stuck")).await.unwrap().unwrap();
    assert_eq!(threads("stuck"), usize::from(cfg!(target_os = "linux")));
    blocked.await.unwrap().unwrap_err();
    let warnings = traces.lines();
    assert!(
        warnings.iter().any(|line| line.contains("plugin=\"stuck\"") && line.contains("cannot be ended")),
        "{warnings:?}"
    );

    let error = host.engine.manager().activate("stuck").await.unwrap_err();
    assert!(error.to_string().contains("blocks its thread and has not ended yet"), "{error}");
    assert_eq!(threads("stuck"), usize::from(cfg!(target_os = "linux")), "one, not one for each try");

    release.send(()).unwrap();
    until_threads("stuck", 0, LIMIT).await;
    assert_eq!(host.local.call::<i64>("stuck", "one", ()).await.unwrap(), 1);
}

#[tokio::test]
async fn a_hook_that_never_completes_is_dropped() {
    let traces = traces(Level::WARN);
    for placement in PLACEMENTS {
        let config = placed(placement).exit_timeout(Duration::from_millis(100));
        let host = Host::with("waits", config, || {
            Plugin::new("waits").method("one", || async { 1 }).on_deactivation(|_| pending())
        })
        .await;
        host.local.call::<i64>("waits", "one", ()).await.unwrap();
        timeout(LIMIT, host.engine.manager().deactivate("waits")).await.unwrap().unwrap();
        until_threads("waits", 0, MOMENT).await;
    }
    assert_eq!(traces.lines(), Vec::<String>::new());
}
