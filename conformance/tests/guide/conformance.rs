use conformance::{Capabilities, Endpoints, Fixture, FixtureError};
use connector_core::async_trait;
use tokio::net::TcpListener;

use crate::tcp::{TcpConnector, TcpServer};

struct Tcp;

#[async_trait]
impl Fixture for Tcp {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().max_message(16 << 20)
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("tcp://{}", listener.local_addr()?);
        Ok(Endpoints::new(url, TcpServer(listener), || TcpConnector))
    }
}

conformance::suite!(Tcp, without: [Cut, Stall, Inject, InjectRaw, IdleConnections, CountConnections, Silence]);
