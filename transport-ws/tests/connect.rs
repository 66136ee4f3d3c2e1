//! Establishing links: authorization, and the errors of failed dials.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::time::Duration;

use common::*;
use connector_core::{ClientConnector, ConnectError, Payload, PluginConnector};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use transport_ws::{BindError, WsConfig, WsConnector, WsConnectorConfig, WsServer, WsServerConfig};

/// The status of the answer to a raw request.
async fn status(config: WsServerConfig, headers: &str) -> String {
    answer(config, headers).await.split(' ').nth(1).unwrap_or_default().to_owned()
}

/// The head of the answer to a raw request.
async fn answer(config: WsServerConfig, headers: &str) -> String {
    let mut server = server(config).await;
    let local = server.local_addr();
    let requesting = async {
        let mut socket = TcpStream::connect(local).await.unwrap();
        socket.write_all(format!("{UPGRADE}{headers}\r\n").as_bytes()).await.unwrap();
        read_head(&mut socket).await
    };
    soon(async {
        tokio::select! {
            head = requesting => head,
            _ = async { loop { std::mem::forget(server.accept().await) } } => unreachable!(),
        }
    })
    .await
}

/// The subprotocol selected for a raw request, or the status of the answer.
async fn subprotocol(config: WsServerConfig, requested: &str) -> String {
    let head = answer(config, requested).await.to_lowercase();
    let name = head.lines().find_map(|line| line.strip_prefix("sec-websocket-protocol: "));
    name.unwrap_or_else(|| head.split(' ').nth(1).unwrap_or_default()).to_owned()
}

#[tokio::test]
async fn the_server_selects_the_clients_first_supported_subprotocol() {
    let config = || WsServerConfig::default().subprotocol("v1").subprotocol("v2");
    assert_eq!(subprotocol(config(), "").await, "101");
    for (requested, selected) in [("v1", "v1"), ("v0, v2, v1", "v2"), ("v3", "400"), ("V1", "400")] {
        assert_eq!(
            subprotocol(config(), &format!("Sec-WebSocket-Protocol: {requested}\r\n")).await,
            selected,
            "{requested}"
        );
    }
    // A client that requests a subprotocol fails the connection if none is selected.
    assert_eq!(subprotocol(WsServerConfig::default(), "Sec-WebSocket-Protocol: v1\r\n").await, "400");
    let head = answer(WsServerConfig::default().token("t"), "Sec-WebSocket-Protocol: v1\r\n").await;
    assert!(head.starts_with("HTTP/1.1 401"), "without a token nothing else is revealed: {head}");
}

#[tokio::test]
async fn a_dial_reports_an_unsupported_subprotocol() {
    let mut server = server(WsServerConfig::default().subprotocol("v2")).await;
    let url = server.url();
    let config =
        |names: &[&str]| names.iter().fold(WsConnectorConfig::default(), |config, name| config.subprotocol(*name));
    dial(&mut server, &url, config(&["v1", "v2"])).await.unwrap();
    dial(&mut server, &url, config(&[])).await.unwrap();
    assert_refused(
        &dial(&mut server, &url, config(&["v1"])).await.err().unwrap(),
        "not support any of the subprotocols [\"v1\"]",
    );
    assert_refused(&dial(&mut server, &url, config(&["a b"])).await.err().unwrap(), "is not a valid subprotocol");

    // A server that ignores the request for a subprotocol.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let ignoring = async {
        let (socket, _) = listener.accept().await.unwrap();
        tokio_tungstenite::accept_async(socket).await.unwrap()
    };
    let mut connector = WsConnector::new(config(&["v1"]));
    let (dialled, _) = soon(async { tokio::join!(connector.connect(&url), ignoring) }).await;
    assert_refused(&dialled.err().unwrap(), "supports none of the subprotocols");
}

#[tokio::test]
async fn a_server_does_not_bind_with_an_invalid_subprotocol() {
    for name in ["", "a b", "a,b", "ä"] {
        let config = WsServerConfig::default().subprotocol(name);
        let error = soon(WsServer::bind("127.0.0.1:0", config)).await.unwrap_err();
        assert!(matches!(&error, BindError::Subprotocol { name: given } if given == name), "{error:?}");
    }
}

#[tokio::test]
async fn only_allowed_origins_are_accepted() {
    let config = || WsServerConfig::default().allow_origin("https://ide.example");
    assert_eq!(status(config(), "").await, "101");
    assert_eq!(status(config(), "Origin: https://ide.example\r\n").await, "101");
    assert_eq!(status(config(), "Origin: https://evil.example\r\n").await, "403");
    assert_eq!(status(WsServerConfig::default(), "Origin: https://ide.example\r\n").await, "403");
    assert_eq!(status(WsServerConfig::default(), "Origin: null\r\n").await, "403");
}

#[tokio::test]
async fn a_foreign_origin_is_rejected_with_403() {
    let mut server = server(WsServerConfig::default()).await;
    let url = server.url();
    let config = WsConnectorConfig::default().header("Origin", "https://ide.example");
    assert_refused(&dial(&mut server, &url, config).await.err().unwrap(), "403");
}

#[tokio::test]
async fn a_wrong_token_is_rejected_with_401() {
    let mut server = server(WsServerConfig::default().token("sesame")).await;
    let url = server.url();
    let plain = WsConnectorConfig::default;
    for (url, config, why) in [
        (url.clone(), plain(), "it requires a token"),
        (url.clone(), plain().token("open"), "the token is wrong"),
        (format!("{url}?token="), plain(), "it requires a token"),
        (format!("{url}?token=open"), plain(), "the token is wrong"),
    ] {
        let end = dial(&mut server, &url, config).await.err().unwrap();
        assert_refused(&end, "401");
        assert_refused(&end, why);
        assert_refused(&end, "WsConnectorConfig::token");
        assert!(!end.to_string().contains("open") && !end.to_string().contains("sesame"), "{end}");
    }
    dial(&mut server, &url, plain().token("sesame")).await.unwrap();
    dial(&mut server, &format!("{url}/?token=sesame"), plain()).await.unwrap();
}

#[tokio::test]
async fn open_links_count_towards_max_connections() {
    let mut server = server(WsServerConfig::default().max_connections(1)).await;
    let url = server.url();
    let mut connector = WsConnector::new(WsConnectorConfig::default());
    let (first, _engine) = link_to(&mut server, &mut connector, &url).await;
    let end = dial(&mut server, &url, WsConnectorConfig::default()).await.err().unwrap();
    assert!(matches!(&end, ConnectError::Failed(error) if error.to_string().contains("503")), "{end:?}");
    drop(first);
    dial(&mut server, &url, WsConnectorConfig::default()).await.unwrap();
}

#[tokio::test]
async fn other_machines_reach_a_server_only_if_it_is_allowed() {
    let error = soon(WsServer::bind("0.0.0.0:0", WsServerConfig::default())).await.unwrap_err();
    assert!(matches!(error, BindError::Remote { .. }), "{error:?}");
    let server = soon(WsServer::bind("0.0.0.0:0", WsServerConfig::default().allow_remote(true))).await.unwrap();
    assert_eq!(server.url(), format!("ws://127.0.0.1:{}", server.local_addr().port()));
}

#[tokio::test]
async fn silent_and_hostile_connections_do_not_delay_other_clients() {
    let mut server = server(WsServerConfig::default()).await;
    let url = server.url();
    let premature = format!("{UPGRADE}\r\na premature frame");
    let beginnings =
        ["", "GET / HT", "\x16\x03\x01\x02\0\x01\0", "nonsense\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", &premature];
    let _others = connect_without_links(server.local_addr(), &beginnings).await;
    for _ in 0..3 {
        let mut connector = WsConnector::new(WsConnectorConfig::default());
        let (mut plugin, mut engine) = link_to(&mut server, &mut connector, &url).await;
        send(&mut engine, emit(1, Payload::null())).await.unwrap();
        assert_eq!(next_id(&mut plugin).await, 1);
    }
}

#[tokio::test]
async fn unfinished_upgrades_are_bounded_in_number_and_time() {
    let ws = WsConfig::default().accept_timeout(Duration::from_millis(50));
    let mut server = server(WsServerConfig::default().ws(ws).max_handshakes(2)).await;
    let url = server.url();
    let mut silent = Vec::new();
    for _ in 0..6 {
        silent.push(TcpStream::connect(server.local_addr()).await.unwrap());
    }
    // Its own upgrade has the same limit, which may be too short at first on a busy machine.
    soon(async { while dial(&mut server, &url, WsConnectorConfig::default()).await.is_err() {} }).await;
}

#[tokio::test]
async fn accept_is_cancel_safe() {
    let mut server = server(WsServerConfig::default()).await;
    let url = server.url();
    let mut connector = WsConnector::new(WsConnectorConfig::default());
    let dialling = connector.connect(&url);
    tokio::pin!(dialling);
    // Each round polls accept once and drops the future.
    let _link = soon(async {
        loop {
            tokio::select! {
                biased;
                link = server.accept() => break link.unwrap(),
                _ = &mut dialling, if false => unreachable!(),
                () = tokio::task::yield_now() => {}
            }
            std::future::poll_fn(|cx| {
                let _ = dialling.as_mut().poll(cx).is_ready();
                std::task::Poll::Ready(())
            })
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn dial_errors_name_the_cause_without_secrets() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let mut connector = WsConnector::default();
    for (url, part) in [
        (format!("ws://127.0.0.1:{port}/?token=hunter2"), "start the server"),
        ("ws://no-such-host.invalid:80/?token=hunter2".to_owned(), "cannot resolve"),
        ("http://127.0.0.1/?token=hunter2".to_owned(), "ws://"),
        ("plugin".to_owned(), "not a URL"),
    ] {
        let end = soon(connector.connect(&url)).await.err().unwrap();
        assert_refused(&end, part);
        assert!(!end.to_string().contains("hunter2"), "{end}");
    }
}

#[tokio::test]
async fn an_unanswered_dial_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limit = Duration::from_millis(50);
    let mut connector = WsConnector::new(WsConnectorConfig::default().ws(WsConfig::default().connect_timeout(limit)));
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let end = soon(connector.connect(&url)).await.err().unwrap();
    assert!(matches!(end, ConnectError::TimedOut(time) if time == limit), "{end:?}");
}

#[tokio::test]
async fn answers_other_than_an_upgrade_are_errors() {
    let dial = |answer| dial_raw(answer, WsConnectorConfig::default());
    for answer in [
        "nonsense\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: \
         x\r\n\r\n",
    ] {
        let end = dial(answer).await;
        assert!(matches!(end, ConnectError::Protocol(_)), "{answer}: {end:?}");
    }
    for answer in ["", "HTTP/1.1 101 Swit", "HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"] {
        let end = dial(answer).await;
        assert!(matches!(end, ConnectError::Failed(_)), "{answer}: {end:?}");
    }
    for answer in ["HTTP/1.1 404 Not Found\r\n\r\n", "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n"] {
        assert_refused(&dial(answer).await, "HTTP");
    }
}
