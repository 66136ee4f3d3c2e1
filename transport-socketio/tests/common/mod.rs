//! Helpers for tests at link level.
#![allow(dead_code, reason = "each test program includes the whole file and uses part of it")]

pub(crate) mod http;

use std::future::poll_fn;
use std::time::Duration;

pub(crate) use conformance::links::*;
use connector_core::{ClientConnector, ConnectError, Payload, PluginConnector};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use transport_socketio::{SocketIoConnector, SocketIoConnectorConfig, SocketIoServer, SocketIoServerConfig};

pub(crate) type Ws = WebSocketStream<TcpStream>;

pub(crate) async fn server(config: SocketIoServerConfig) -> SocketIoServer {
    soon(SocketIoServer::bind("127.0.0.1:0", config)).await.unwrap()
}

/// A configuration that detects a silent engine after 200 ms.
pub(crate) fn short() -> SocketIoServerConfig {
    SocketIoServerConfig::default().ping_interval(Duration::from_millis(100)).ping_timeout(Duration::from_millis(100))
}

/// Both ends of a link: the plugin's and the engine's.
pub(crate) async fn pair(plugin: SocketIoServerConfig, engine: SocketIoConnectorConfig) -> (TestLink, TestLink) {
    let mut server = server(plugin).await;
    let url = server.url();
    let mut connector = SocketIoConnector::new(engine);
    link_to(&mut server, &mut connector, &url).await
}

/// Admits the engine, as its plugin handshake would, which these tests do without.
pub(crate) fn admitted(link: TestLink) -> TestLink {
    link.handshake_completed();
    link
}

pub(crate) async fn default_pair() -> (TestLink, TestLink) {
    pair(SocketIoServerConfig::default(), SocketIoConnectorConfig::default()).await
}

pub(crate) async fn dial(url: &str, config: SocketIoConnectorConfig) -> Result<TestLink, ConnectError> {
    soon(SocketIoConnector::new(config).connect(url)).await
}

/// An event as a peer sends it.
pub(crate) fn event(id: i64) -> String {
    format!(r#"42["message",{{"action":"emit","id":{id}}}]"#)
}

/// Sends until the link stays blocked, and returns the number of messages. Intermediate buffers drain only as their
/// tasks run.
pub(crate) async fn fill(link: &mut TestLink, payload: &Payload) -> i64 {
    let mut sent = 0;
    while let Ok(ready) = tokio::time::timeout(Duration::from_millis(200), poll_fn(|cx| link.poll_ready(cx))).await {
        ready.unwrap();
        link.send(emit(sent, payload.clone())).unwrap();
        sent += 1;
        assert!(sent < 3000, "buffering is unbounded");
    }
    sent
}

/// Sends a request head and reads the answer's head.
pub(crate) async fn exchange_heads(socket: &mut TcpStream, head: &str) -> String {
    socket.write_all(head.as_bytes()).await.unwrap();
    read_head(socket).await
}

pub(crate) fn upgrade(query: &str, headers: &str) -> String {
    format!(
        "GET /socket.io/?EIO=4&transport=websocket{query} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         {headers}\r\n"
    )
}

pub(crate) async fn as_ws(socket: TcpStream, role: Role) -> Ws {
    let config = WebSocketConfig::default().max_frame_size(None).max_message_size(None);
    WebSocketStream::from_raw_socket(socket, role, Some(config)).await
}

pub(crate) async fn send_text(ws: &mut Ws, text: impl Into<String>) {
    soon(ws.send(Frame::text(text.into()))).await.unwrap();
}

/// The next text frame that is not a ping. Answers pings.
pub(crate) async fn receive_text(ws: &mut Ws) -> Option<String> {
    loop {
        match soon(ws.next()).await? {
            Ok(Frame::Text(text)) if text.as_str() != "2" => return Some(text.as_str().to_owned()),
            Ok(Frame::Text(_)) => ws.send(Frame::text("3")).await.ok()?,
            _ => return None,
        }
    }
}

/// A raw websocket as the engine, before its CONNECT.
pub(crate) async fn raw_ws(server: &SocketIoServer) -> Ws {
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    let head = exchange_heads(&mut socket, &upgrade("", "")).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let mut ws = as_ws(socket, Role::Client).await;
    assert!(receive_text(&mut ws).await.unwrap().starts_with("0{"));
    ws
}

/// A server's link, with a raw websocket as the engine.
pub(crate) async fn raw_engine(config: SocketIoServerConfig) -> (TestLink, Ws) {
    let mut server = server(config).await;
    let mut ws = raw_ws(&server).await;
    send_text(&mut ws, "40").await;
    assert!(receive_text(&mut ws).await.unwrap().starts_with("40{"));
    (admitted(soon(server.accept()).await.unwrap()), ws)
}

/// A raw server's first packet. It announces pings such that the plugin counts as silent after `silence`.
pub(crate) fn open(silence: Duration) -> String {
    let half = silence.as_millis() / 2;
    format!(r#"0{{"sid":"x","upgrades":[],"pingInterval":{half},"pingTimeout":{half},"maxPayload":1000000}}"#)
}

pub(crate) async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// Accepts a connector's websocket.
pub(crate) async fn accept_ws(listener: &TcpListener) -> Ws {
    let (socket, _) = soon(listener.accept()).await.unwrap();
    soon(tokio_tungstenite::accept_async(socket)).await.unwrap()
}

/// Accepts a connector's websocket and its CONNECT packet, which the caller answers.
pub(crate) async fn accept_connect(listener: &TcpListener, silence: Duration) -> Ws {
    let mut ws = accept_ws(listener).await;
    send_text(&mut ws, open(silence)).await;
    assert_eq!(receive_text(&mut ws).await.unwrap(), "3");
    assert_eq!(receive_text(&mut ws).await.unwrap(), "40");
    ws
}

/// Accepts a connector's websocket as a plugin does.
pub(crate) async fn accept_engine(listener: &TcpListener, silence: Duration) -> Ws {
    let mut ws = accept_connect(listener, silence).await;
    send_text(&mut ws, r#"40{"sid":"y"}"#).await;
    ws
}

/// An engine's link, with a raw websocket as the plugin.
pub(crate) async fn raw_plugin(silence: Duration) -> (TestLink, Ws) {
    let (listener, url) = listener().await;
    let dialling = dial(&url, SocketIoConnectorConfig::default());
    let (link, ws) = tokio::join!(dialling, accept_engine(&listener, silence));
    (link.unwrap(), ws)
}

/// A link of either end, with a raw websocket as the peer.
pub(crate) async fn raw(back: bool) -> (TestLink, Ws) {
    if back { raw_plugin(Duration::from_secs(60)).await } else { raw_engine(SocketIoServerConfig::default()).await }
}
