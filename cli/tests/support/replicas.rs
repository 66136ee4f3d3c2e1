//! Replicas of a plugin behind a NATS server.

use std::path::PathBuf;

use conformance::probe;
use connector_core::{ClientConfig, serve};
use tokio::runtime::Runtime;
use transport_nats::{NatsConfig, NatsServer};

use super::broker::Broker;

/// A NATS server, and replicas of the plugin `plugin`. They end on drop.
pub(crate) struct Replicas {
    // The replicas end before their server does.
    _runtime: Runtime,
    broker: Broker,
}

impl Replicas {
    /// With these replicas, and a server with this configuration.
    pub(crate) fn start(config: &str, replicas: &[&str]) -> Replicas {
        Replicas::start_as(config, NatsConfig::new, replicas)
    }

    /// With replicas whose configuration is made from the server's URL.
    pub(crate) fn start_as(config: &str, reach: impl Fn(String) -> NatsConfig, replicas: &[&str]) -> Replicas {
        let runtime = Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file: PathBuf = folder.path().join("nats.conf");
        std::fs::write(&file, config).unwrap();
        let broker = Broker::with_config(file).expect("nats-server must be installed, or named by NATS_SERVER");
        for replica in replicas {
            let config = reach(broker.url()).replica(*replica);
            let server = runtime.block_on(NatsServer::bind("plugin", config)).unwrap();
            runtime.spawn(serve(server, probe, ClientConfig::default()));
        }
        Replicas { _runtime: runtime, broker }
    }

    /// Where the NATS server is.
    pub(crate) fn url(&self) -> String {
        self.broker.url()
    }
}
