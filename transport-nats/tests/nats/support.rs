//! A served probe, and an engine that reaches it.

use std::path::PathBuf;
use std::time::Duration;

use conformance::{engine_with, probe};
use connector_core::{ClientConfig, Engine, LinkEnd, Plugin, PluginClient, Registration, serve};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use transport_nats::{NatsConfig, NatsServer};

use crate::broker::Broker;

/// The time limit of every wait.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn broker() -> Broker {
    Broker::start().expect("nats-server must be installed, or named by NATS_SERVER")
}

/// With this configuration file, which stays as long as the directory.
pub(crate) fn broker_with(config: &str) -> (Broker, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let file: PathBuf = directory.path().join("nats.conf");
    std::fs::write(&file, config).unwrap();
    (Broker::with_config(file).unwrap(), directory)
}

/// A new one, whose connection nothing else shares.
pub(crate) fn config(broker: &Broker) -> NatsConfig {
    NatsConfig::new(broker.url())
}

/// A replica of the plugin `probe`.
pub(crate) struct Replica {
    stop: Option<oneshot::Sender<()>>,
    pub(crate) serving: JoinHandle<LinkEnd>,
}

impl Replica {
    pub(crate) async fn start(config: NatsConfig) -> Replica {
        Replica::serve(probe, config).await
    }

    /// Of another plugin with this name.
    pub(crate) async fn serve(plugin: impl Fn() -> Plugin + Send + 'static, config: NatsConfig) -> Replica {
        let server = NatsServer::bind("probe", config).await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(server, plugin, ClientConfig::default()).until(stopped));
        Replica { stop: Some(stop), serving }
    }

    /// Begins to stop gracefully.
    pub(crate) fn stop(&mut self) {
        let _ = self.stop.take().unwrap().send(());
    }
}

/// Ends at once, without a close.
impl Drop for Replica {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// An engine with the plugins `local` and `probe`, both active.
pub(crate) async fn engine(config: NatsConfig) -> (Engine, PluginClient) {
    engine_of(transport_nats::plugin("probe", config)).await
}

/// With this registration of `probe`.
pub(crate) async fn engine_of(probe: impl Into<Registration>) -> (Engine, PluginClient) {
    let (engine, local) = engine_with(Plugin::new("local")).await;
    engine.register(probe).unwrap();
    within(engine.manager().activate("probe")).await.unwrap();
    (engine, local)
}

pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(LIMIT, future).await.expect("it hangs")
}

/// Calls until one succeeds.
pub(crate) async fn until_it_answers(local: &PluginClient) {
    within(async {
        while local.call::<String>("probe", "echo", ("back",)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
}
