//! The conformance suite over lines in a stream that is not a socket, as in a child's pipes.

use conformance::{Capabilities, Endpoints, Fixture, FixtureError, suite};
use connector_core::{ClientConnector, ConnectError, Link, LinkEnd, PluginConnector, async_trait};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;

use super::line_link;
use crate::codec::Stray;
use crate::config::IpcConfig;

struct Lines(Stray);

#[derive(Clone)]
struct Dial(mpsc::Sender<DuplexStream>, Stray);

struct Accept(mpsc::Receiver<DuplexStream>, Stray);

fn link(stream: DuplexStream, stray: Stray) -> Box<dyn Link> {
    Box::new(line_link(stream, &IpcConfig::default(), stray))
}

#[async_trait]
impl PluginConnector for Dial {
    async fn connect(&mut self, _: &str) -> Result<Box<dyn Link>, ConnectError> {
        let (here, there) = tokio::io::duplex(4096);
        self.0.send(there).await.map_err(|_| ConnectError::Refused("the other end was dropped".to_owned()))?;
        Ok(link(here, self.1))
    }
}

#[async_trait]
impl ClientConnector for Accept {
    async fn accept(&mut self) -> Result<Box<dyn Link>, LinkEnd> {
        let stream =
            self.0.recv().await.ok_or_else(|| ConnectError::Refused("the other end was dropped".to_owned()))?;
        Ok(link(stream, self.1))
    }
}

#[async_trait]
impl Fixture for Lines {
    fn capabilities(&self) -> Capabilities {
        Capabilities::default().max_message(15 << 20).max_unread(20_000).max_unread_bytes(4 << 20)
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        let (dial, accept) = mpsc::channel(8);
        let connector = Dial(dial, self.0);
        Ok(Endpoints::new("pipe:", Accept(accept, self.0), move || connector.clone()))
    }
}

/// As on standard input and output.
mod printed {
    super::suite!(
        super::Lines(super::Stray::Report),
        without: [Cut, Stall, Inject, InjectRaw, IdleConnections, CountConnections, Silence]
    );
}

/// As on Node's channel.
#[cfg(unix)]
mod node {
    super::suite!(
        super::Lines(super::Stray::Fatal),
        without: [Cut, Stall, Inject, InjectRaw, IdleConnections, CountConnections, Silence]
    );
}
