//! Runs the conformance suite over socket.io, through a proxy.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common {
    /// A client's websocket frame with the event that carries `payload`, masked with zeroes.
    pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let text = [b"42[\"message\",", payload, b"]"].concat();
        let mut frame = vec![first];
        match u16::try_from(text.len()) {
            Ok(short @ 0..=125) => frame.push(0x80 | short as u8),
            Ok(medium) => {
                frame.push(0x80 | 126);
                frame.extend_from_slice(&medium.to_be_bytes());
            }
            Err(_) => {
                frame.push(0x80 | 127);
                frame.extend_from_slice(&(text.len() as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(&[0; 4]);
        frame.extend_from_slice(&text);
        frame
    }
}
// The proxy of the websocket tests.
#[path = "../../transport-ws/tests/conformance/proxy.rs"]
mod proxy;

use std::time::Duration;

use conformance::{Capabilities, Fixture, Place, PlaceError, suite};
use connector_core::async_trait;
use transport_socketio::{SocketIoConnector, SocketIoServer, SocketIoServerConfig};

use self::proxy::Proxy;

struct SocketIo;

#[async_trait]
impl Fixture for SocketIo {
    fn capabilities(&self) -> Capabilities {
        // rust_engineio accepts frames of 16 MiB, which include socket.io's envelope.
        let largest = (16 << 20) - 1024;
        // socketioxide ends the connection on an event that is not JSON.
        Capabilities::default()
            .largest(largest)
            .bad_frames(false)
            .cut()
            .stall()
            .inject()
            .inject_raw()
            .strangers()
            .counts()
            .silence(Duration::from_secs(25))
    }

    async fn place(&self) -> Result<Place, PlaceError> {
        // Pings queue behind full buffers, including the proxy's, which drain slowly on a busy machine.
        let config =
            SocketIoServerConfig::default().ping_interval(Duration::from_secs(2)).ping_timeout(Duration::from_secs(18));
        let server = SocketIoServer::bind("127.0.0.1:0", config).await?;
        let proxy = Proxy::start(server.local_addr()).await?;
        Ok(Place::new(proxy.url(), server, SocketIoConnector::default).control(proxy))
    }
}

suite!(SocketIo, without: [BadFrames]);
