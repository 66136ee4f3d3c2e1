//! Runs the conformance suite over socket.io, through a proxy.
#![cfg(all(feature = "client", feature = "plugin"))]

use std::time::Duration;

use conformance::{Capabilities, Endpoints, Fixture, FixtureError, Proxy, suite};
use connector_core::async_trait;
use transport_socketio::{SocketIoConnector, SocketIoServer, SocketIoServerConfig};

struct SocketIo;

/// A websocket text frame with the event that carries `payload`, as a client sends it: masked with zeroes.
fn masked(payload: &str) -> Vec<u8> {
    let text = format!("42[\"message\",{payload}]");
    let mut frame = vec![0x81];
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
    frame.extend_from_slice(text.as_bytes());
    frame
}

#[async_trait]
impl Fixture for SocketIo {
    fn capabilities(&self) -> Capabilities {
        // rust_engineio accepts frames of 16 MiB, which include socket.io's envelope.
        let largest = (16 << 20) - 1024;
        // socketioxide ends the connection on an event that is not JSON.
        Capabilities::default()
            .max_message(largest)
            .bad_frames(false)
            .cut()
            .stall()
            .inject()
            .inject_raw()
            .idle_connections()
            .count_connections()
            .silence(Duration::from_secs(35))
    }

    async fn endpoints(&self) -> Result<Endpoints, FixtureError> {
        // A ping waits behind what fills all buffers, the proxy's too: on a busy machine that takes its time.
        let config =
            SocketIoServerConfig::default().ping_interval(Duration::from_secs(2)).ping_timeout(Duration::from_secs(28));
        let server = SocketIoServer::bind("127.0.0.1:0", config).await?;
        let (proxy, address) = Proxy::tcp(server.local_addr(), masked).await?;
        Ok(Endpoints::new(format!("ws://{address}"), server, SocketIoConnector::default).control(proxy))
    }
}

suite!(SocketIo, without: [BadFrames]);

mod observed {
    use super::SocketIo;

    conformance::suite!(conformance::Observed(SocketIo), without: [BadFrames]);
}
