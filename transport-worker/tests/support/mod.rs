//! A host with workers as plugins, and a count of the process's threads.
#![allow(dead_code, reason = "each test program includes the whole file and uses a part of it")]

use std::time::{Duration, Instant};

use conformance::engine_with;
use connector_core::{Engine, LinkState, Plugin, PluginClient, PluginOptions};
use tokio::time::timeout;
use transport_worker::{Placement, WorkerConfig, worker_with};

/// The time limit of every wait.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
/// How long a joined thread may still be listed.
pub(crate) const MOMENT: Duration = Duration::from_millis(1500);
pub(crate) const PLACEMENTS: [Placement; 2] = [Placement::Thread, Placement::Task];

pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) local: PluginClient,
}

impl Host {
    pub(crate) async fn new() -> Host {
        let (engine, local) = engine_with(Plugin::new("local").method("where", address)).await;
        Host { engine, local }
    }

    /// With a plugin of that name registered. It reconnects at once after a loss.
    pub(crate) async fn with(
        name: &str,
        config: WorkerConfig,
        make: impl Fn() -> Plugin + Send + Sync + 'static,
    ) -> Host {
        let host = Host::new().await;
        host.register(name, config, make);
        host
    }

    pub(crate) fn register(&self, name: &str, config: WorkerConfig, make: impl Fn() -> Plugin + Send + Sync + 'static) {
        let short = Duration::from_millis(5);
        let options = PluginOptions::default().reconnect_delay(short, short).activation_timeout(Duration::from_secs(2));
        self.engine.register(worker_with(name, make, config).options(options.concurrency(8))).unwrap();
    }

    pub(crate) async fn until(&self, name: &str, is: impl Fn(&LinkState) -> bool) -> LinkState {
        let mut state = self.engine.link_state(name).unwrap();
        timeout(LIMIT, state.wait_for(is)).await.expect("its link state does not change").unwrap().clone()
    }
}

pub(crate) fn placed(placement: Placement) -> WorkerConfig {
    WorkerConfig::default().placement(placement)
}

/// The address of a text, and the text itself.
pub(crate) async fn address(text: String) -> (usize, String) {
    (text.as_ptr() as usize, text)
}

/// The number of the process's threads with that name, of which Linux keeps 15 bytes.
#[cfg(target_os = "linux")]
pub(crate) fn threads(name: &str) -> usize {
    let name = &name[..name.len().min(15)];
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|comm| comm.trim_end() == name).count()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn threads(_: &str) -> usize {
    0
}

/// Waits for that number of threads: a joined thread may still be listed for a moment.
pub(crate) async fn until_threads(name: &str, count: usize, within: Duration) {
    let began = Instant::now();
    while cfg!(target_os = "linux") && threads(name) != count {
        assert!(began.elapsed() < within, "there are {} threads {name}", threads(name));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
