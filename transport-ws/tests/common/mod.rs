//! Helpers for tests at link level.
#![allow(dead_code, reason = "each test program includes the whole file and uses part of it")]

use std::future::poll_fn;

pub(crate) use conformance::links::*;
use connector_core::{ClientConnector, ConnectError, LinkEnd, Payload, PluginConnector};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use transport_ws::{WsConfig, WsConnector, WsConnectorConfig, WsServer, WsServerConfig};

pub(crate) async fn server(config: WsServerConfig) -> WsServer {
    soon(WsServer::bind("127.0.0.1:0", config)).await.unwrap()
}

/// Both ends of a link: the plugin's and the engine's.
pub(crate) async fn pair(plugin: WsConfig, engine: WsConfig) -> (TestLink, TestLink) {
    let mut server = server(WsServerConfig::default().ws(plugin)).await;
    let url = server.url();
    let mut connector = WsConnector::new(WsConnectorConfig::default().ws(engine));
    link_to(&mut server, &mut connector, &url).await
}

/// Dials while the server accepts connections and keeps their links open.
pub(crate) async fn dial(
    server: &mut WsServer,
    url: &str,
    config: WsConnectorConfig,
) -> Result<TestLink, ConnectError> {
    let mut connector = WsConnector::new(config);
    soon(async {
        tokio::select! {
            biased;
            dialled = connector.connect(url) => dialled,
            _ = async { loop { std::mem::forget(server.accept().await) } } => unreachable!(),
        }
    })
    .await
}

/// Sends a message of `size` bytes to a link with a limit of 1000. Returns the end that both ends report.
pub(crate) async fn send_too_large(from: &mut TestLink, to: &mut TestLink, size: usize) -> LinkEnd {
    poll_fn(|cx| from.poll_ready(cx)).await.unwrap();
    from.send(emit(1, Payload::new("x".repeat(size)))).unwrap();
    let sender = poll_fn(|cx| {
        let _ = from.poll_flush(cx);
        from.poll_message(cx)
    });
    let (sent, received) = soon(async { tokio::join!(sender, end(to)) }).await;
    assert!(matches!(sent, Err(LinkEnd::Closed { code: Some(1009), .. })), "{:?}", sent.err());
    assert!(matches!(received, LinkEnd::TooLarge { limit: 1000 }), "{received:?}");
    received
}

pub(crate) const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A server's link, with a raw socket as the peer.
pub(crate) async fn raw_engine(config: WsConfig) -> (TestLink, TcpStream) {
    let mut server = server(WsServerConfig::default().ws(config)).await;
    let (link, (socket, status)) = {
        let local = server.local_addr();
        soon(async {
            let raw = async {
                let mut socket = TcpStream::connect(local).await.unwrap();
                socket.write_all(format!("{UPGRADE}\r\n").as_bytes()).await.unwrap();
                let head = read_head(&mut socket).await;
                (socket, head)
            };
            tokio::join!(server.accept(), raw)
        })
        .await
    };
    assert!(status.starts_with("HTTP/1.1 101"), "{status}");
    let link = link.unwrap();
    link.handshake_completed();
    (link, socket)
}

/// The end reported by a dial to a raw socket that sends `answer` and hangs up.
pub(crate) async fn dial_raw(answer: &'static str, config: WsConnectorConfig) -> ConnectError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let raw = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        read_head(&mut socket).await;
        socket.write_all(answer.as_bytes()).await.unwrap();
    };
    let mut connector = WsConnector::new(config);
    let (dialled, ()) = soon(async { tokio::join!(connector.connect(&url), raw) }).await;
    dialled.err().expect("expected an error")
}

/// A client's frame, masked with zeroes.
pub(crate) fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        n @ 0..=125 => frame.push(0x80 | n as u8),
        n @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(n as u16).to_be_bytes());
        }
        n => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(n as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// The first byte and payload of a server's next frame.
pub(crate) async fn read_frame(socket: &mut TcpStream) -> (u8, Vec<u8>) {
    soon(async {
        let first = socket.read_u8().await.unwrap();
        let len = match socket.read_u8().await.unwrap() {
            126 => socket.read_u16().await.unwrap() as usize,
            127 => socket.read_u64().await.unwrap() as usize,
            n => n as usize,
        };
        let mut payload = vec![0; len];
        socket.read_exact(&mut payload).await.unwrap();
        (first, payload)
    })
    .await
}
