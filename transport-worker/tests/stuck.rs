//! Plugins that do not end when they are asked to.
#![cfg(feature = "plugin")]

mod support;

use std::future::pending;
use std::io;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use connector_core::Plugin;
use support::{Host, LIMIT, MOMENT, PLACEMENTS, placed, threads, until_threads};
use tokio::sync::Notify;
use tokio::time::timeout;
use transport_worker::WorkerConfig;

/// A plugin whose method `wait` blocks its thread until it is released, and says when it does.
fn blocking(name: &'static str) -> (mpsc::Sender<()>, Arc<Notify>, impl Fn() -> Plugin + Send + Sync) {
    let (release, wait) = mpsc::channel::<()>();
    let (wait, blocks) = (Arc::new(Mutex::new(wait)), Arc::new(Notify::new()));
    let tells = Arc::clone(&blocks);
    let make = move || {
        let (wait, tells) = (Arc::clone(&wait), Arc::clone(&tells));
        Plugin::new(name).method("one", || async { 1 }).method("wait", move || {
            tells.notify_one();
            let _ = wait.lock().unwrap().recv();
            async {}
        })
    };
    (release, blocks, make)
}

/// Collects what is traced.
#[derive(Clone, Default)]
struct Traces(Arc<Mutex<Vec<u8>>>);

impl io::Write for Traces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Traces {
    fn warnings(&self) -> Vec<String> {
        let traces = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        traces.lines().filter(|line| line.contains("WARN")).map(str::to_owned).collect()
    }
}

/// The engine has one thread: a join there would never end.
#[tokio::test]
async fn a_plugin_that_will_not_end_is_told_of_and_no_other_is_started() {
    let traces = Traces::default();
    let writer = traces.clone();
    let to_writer = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _traced = tracing::subscriber::set_default(to_writer);

    let (release, blocks, make) = blocking("stuck");
    let host = Host::with("stuck", WorkerConfig::default().exit_timeout(Duration::from_millis(100)), make).await;
    let local = host.local.clone();
    let blocked = tokio::spawn(async move { local.call::<()>("stuck", "wait", ()).await });
    timeout(LIMIT, blocks.notified()).await.unwrap();

    timeout(LIMIT, host.engine.manager().deactivate("stuck")).await.unwrap().unwrap();
    assert_eq!(threads("stuck"), usize::from(cfg!(target_os = "linux")));
    blocked.await.unwrap().unwrap_err();
    let warnings = traces.warnings();
    assert!(
        warnings.iter().any(|line| line.contains("plugin=\"stuck\"") && line.contains("does not end")),
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
async fn a_hook_that_waits_for_ever_is_given_up() {
    let traces = Traces::default();
    let writer = traces.clone();
    let to_writer = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _traced = tracing::subscriber::set_default(to_writer);
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
    assert_eq!(traces.warnings(), Vec::<String>::new());
}
