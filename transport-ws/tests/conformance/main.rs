//! Runs the conformance suite over websockets, through a proxy.
#![cfg(all(feature = "client", feature = "plugin"))]

#[path = "../common/mod.rs"]
mod common;

use std::time::Duration;

use conformance::{Capabilities, Endpoints, Fixture, FixtureError, Proxy, suite};
use connector_core::async_trait;
use transport_ws::{WsConfig, WsConnector, WsConnectorConfig, WsServer, WsServerConfig};

use self::common::masked;

struct Ws;

/// The cases sometimes leave an end unpolled for a moment, so shorter timeouts would fail spuriously.
fn config() -> WsConfig {
    WsConfig::default().ping_interval(Duration::from_secs(2)).ping_timeout(Duration::from_secs(4))
}

#[async_trait]
impl Fixture for Ws {
    fn capabilities(&self) -> Capabilities {
        let has = Capabilities::default().max_message(16 << 20).silence(Duration::from_secs(10));
        has.cut().stall().inject().inject_raw().idle_connections().count_connections()
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let server = WsServer::bind("127.0.0.1:0", WsServerConfig::default().ws(config())).await?;
        let (proxy, address) = Proxy::tcp(server.local_addr(), |frame| masked(0x81, frame.as_bytes())).await?;
        let connector = || WsConnector::new(WsConnectorConfig::default().ws(config()));
        Ok(Endpoints::new(format!("ws://{address}"), server, connector).control(proxy))
    }
}

suite!(Ws);

mod observed {
    use super::Ws;

    conformance::suite!(conformance::Observed(Ws));
}
