//! Rejected clients and the traces both name the cause, and neither can be flooded.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use common::*;
use conformance::{engine_with, traces};
use connector_core::{ClientConfig, ClientConnector, ConnectError, Plugin, PluginConnector, serve};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tracing::Level;
use transport_ws::{WsConfig, WsConnector, WsConnectorConfig, WsServer, WsServerConfig};

/// The complete answer to a raw request.
async fn answer(server: &mut WsServer, headers: &str) -> String {
    raw_answer(server, &format!("{UPGRADE}{headers}\r\n")).await
}

async fn raw_answer(server: &mut WsServer, request: &str) -> String {
    let local = server.local_addr();
    let requesting = async {
        let mut socket = TcpStream::connect(local).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        answer
    };
    soon(async {
        tokio::select! {
            answer = requesting => answer,
            _ = async { loop { std::mem::forget(server.accept().await) } } => unreachable!(),
        }
    })
    .await
}

#[tokio::test]
async fn the_answer_and_a_warning_name_the_setting() {
    let token = || WsServerConfig::default().token("sesame");
    for (config, headers, status, setting) in [
        (WsServerConfig::default(), "Origin: https://page.example\r\n", "403", "WsServerConfig::allow_origin"),
        (token(), "", "401", "no token was sent, and the plugin requires its token (WsServerConfig::token)"),
        (
            token(),
            "Authorization: Bearer hunter2\r\n",
            "401",
            "the token is wrong: the plugin requires its own (WsServerConfig::token)",
        ),
        (WsServerConfig::default(), "Sec-WebSocket-Protocol: v9\r\n", "400", "WsServerConfig::subprotocol"),
        (WsServerConfig::default().max_connections(1), "", "503", "WsServerConfig::max_connections allows 1"),
    ] {
        let warnings = traces(Level::WARN);
        let is_small = config.max_connections == 1;
        let mut server = server(config).await;
        let url = server.url();
        let _only = match is_small {
            true => Some(dial(&mut server, &url, WsConnectorConfig::default()).await.unwrap()),
            false => None,
        };
        let answer = answer(&mut server, headers).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")) && body.contains(setting), "{answer}");
        let all = warnings.lines();
        assert!(all.len() == 1 && all[0].contains(setting) && all[0].contains("127.0.0.1:"), "{all:?}");
        assert!(!format!("{answer}{all:?}").contains("sesame"), "{answer} {all:?}");
        assert!(!format!("{answer}{all:?}").contains("hunter2"), "{answer} {all:?}");
    }
}

#[tokio::test]
async fn a_setting_that_cannot_work_is_an_error_of_bind_and_of_dialling() {
    let good = WsServerConfig::default;
    for (config, error) in [
        (good().max_connections(0), "WsServerConfig::max_connections is 0"),
        (good().max_connections_per_address(Some(0)), "WsServerConfig::max_connections_per_address is 0"),
        (good().max_handshakes(0), "WsServerConfig::max_handshakes is 0"),
        (good().ws(WsConfig::default().max_message(0)), "WsConfig::max_message is 0"),
        (good().token("sesame\n"), "WsServerConfig::token is a text that no HTTP header can carry"),
        (good().token(""), "the token is empty"),
        (good().allow_origin("*"), r#""*" cannot be allowed as an origin"#),
        (good().allow_origin("null"), r#""null" cannot be allowed as an origin"#),
        (good().allow_origin("https://ide.example/"), r#""https://ide.example/" cannot be allowed as an origin"#),
    ] {
        let refused = WsServer::bind("127.0.0.1:0", config).await.unwrap_err().to_string();
        assert!(refused.starts_with(error) && !refused.contains("sesame"), "{refused}");
    }
    drop(server(good().max_connections_per_address(None)).await);
    for (config, error) in [
        (WsConnectorConfig::default().ws(WsConfig::default().max_sent_message(0)), "WsConfig::max_sent_message is 0"),
        (WsConnectorConfig::default().token("sesame\n"), "WsConnectorConfig::token is a text"),
        (WsConnectorConfig::default().token(""), "WsConnectorConfig::token is an empty text: set another one, or none"),
    ] {
        let refused = WsConnector::new(config).connect("ws://127.0.0.1:9").await.err().unwrap();
        assert!(matches!(&refused, ConnectError::Refused(why) if why.starts_with(error)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_a_websockets_is_answered() {
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (request, status, text) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "426", "dial it with a websocket client"),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".to_owned(),
            "426",
            "dial it with a websocket client",
        ),
        (UPGRADE.replace("Version: 13", "Version: 8") + "\r\n", "426", "version 13"),
        (
            format!("GET / HTTP/1.1\r\nHost: x\r\n{upgrade}Sec-WebSocket-Version: 13\r\n\r\n"),
            "400",
            "Sec-WebSocket-Key",
        ),
    ] {
        let mut server = server(WsServerConfig::default()).await;
        let answer = raw_answer(&mut server, &request).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")) && body.contains(text), "{answer}");
        assert!(head.contains("Sec-WebSocket-Version: 13"), "{answer}");
    }
}

#[tokio::test]
async fn dialling_wss_at_a_ws_server_is_warned_about() {
    let warnings = traces(Level::WARN);
    let mut server = server(WsServerConfig::default()).await;
    let url = server.url().replace("ws://", "wss://");
    dial(&mut server, &url, WsConnectorConfig::default()).await.err().unwrap();
    let all = warnings.lines();
    assert!(all.len() == 1 && all[0].contains("dial ws://"), "{all:?}");
}

#[tokio::test]
async fn warnings_are_rate_limited_and_bounded_in_length() {
    let warnings = traces(Level::WARN);
    let mut server = server(WsServerConfig::default()).await;
    let origin = format!("Origin: \u{9b}31m{}\r\n", "x".repeat(5000));
    for _ in 0..200 {
        answer(&mut server, &origin).await;
    }
    let all = warnings.lines();
    assert!(!all.is_empty() && all.len() < 100, "{}", all.len());
    assert!(all.iter().all(|line| line.len() < 1000 && !line.contains('\u{9b}')), "{all:?}");
}

/// At both ends.
#[tokio::test]
async fn a_close_reason_cannot_forge_a_line_of_the_log() {
    let close = || {
        let reason = "\u{1b}[2Jx\r\nERROR forged\u{202e}\u{9b}31m".into();
        Message::Close(Some(CloseFrame { code: 1000.into(), reason }))
    };
    let traces = traces(Level::DEBUG);
    let is_traced = async || {
        while traces.containing("forged").is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        let lines = traces.lines();
        assert!(lines.iter().all(|line| !line.contains(|c: char| c.is_control() || c == '\u{202e}')), "{lines:?}");
        traces.clear();
    };

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (engine, _local) = engine_with(Plugin::new("local")).await;
    engine.register(transport_ws::plugin("p", &format!("ws://{}", listener.local_addr().unwrap()))).unwrap();
    let plugin = async {
        let mut ws = tokio_tungstenite::accept_async(listener.accept().await.unwrap().0).await.unwrap();
        let handshake = ws.next().await.unwrap().unwrap().into_text().unwrap();
        let handshake: Value = serde_json::from_str(&handshake).unwrap();
        let answer =
            json!({"action": "response", "id": handshake["id"], "name": "p", "key": "handshake", "payload": []});
        ws.send(Message::text(answer.to_string())).await.unwrap();
        ws.send(close()).await.unwrap();
        ws
    };
    // It may also end before the activation does.
    let manager = engine.manager();
    let (_, _ws) = soon(async { tokio::join!(manager.activate("p"), plugin) }).await;
    soon(is_traced()).await;

    let server = server(WsServerConfig::default()).await;
    let url = server.url();
    tokio::spawn(serve(server, || Plugin::new("p"), ClientConfig::default()));
    let mut ws = tokio_tungstenite::connect_async(&url).await.unwrap().0;
    ws.send(close()).await.unwrap();
    soon(is_traced()).await;
}

#[tokio::test]
async fn another_program_at_the_port_is_named_as_the_cause() {
    for answer in ["SSH-2.0-other\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 101 x\r\n\r\n"] {
        let url = format!("ws://{}", other_program(answer).await);
        let error = WsConnector::default().connect(&url).await.err().unwrap();
        let text = error.to_string();
        assert!(text.contains("it is not a plugin's websocket server; check the url's port"), "{answer}: {text}");
        assert!(error.is_retryable() && text.matches("protocol error").count() <= 1, "{answer}: {text}");
    }
}
