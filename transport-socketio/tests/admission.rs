//! Peers that prove nothing neither keep engines out nor occupy much memory.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::http::{Polling, request};
use common::*;
use connector_core::{ClientConnector, LinkEnd, Payload};
use futures_util::SinkExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use transport_socketio::{SocketIoConnector, SocketIoConnectorConfig, SocketIoServer, SocketIoServerConfig};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";

/// Neither silent connections nor requests without their bodies, which here have an hour to arrive.
#[tokio::test]
async fn unfinished_requests_do_not_keep_an_engine_out() {
    let patient = SocketIoServerConfig::default().ping_timeout(Duration::from_secs(3600));
    for (silent, config) in [(true, patient.clone()), (false, patient.clone()), (true, patient.token("sesame"))] {
        let server = server(config).await;
        let sid = Polling::open(server.local_addr()).await.sid;
        let head = format!("POST {OPEN}&sid={sid} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
        let mut idle = Vec::new();
        // Several times the number of connections that may be pending. The kernel's backlog may be shorter.
        for _ in 0..10 {
            for _ in 0..100 {
                let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
                socket.write_all(if silent { b"" } else { head.as_bytes() }).await.unwrap();
                idle.push(socket);
            }
            dial(&server.url(), SocketIoConnectorConfig::default().token("sesame")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_with_408() {
    let server = server(short()).await;
    let polling = Polling::open(server.local_addr()).await;
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    let head = format!("POST {OPEN}&sid={} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", polling.sid);
    let answer = exchange_heads(&mut socket, &head).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn sessions_are_counted_from_their_first_request() {
    let server = server(SocketIoServerConfig::default()).await;
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    let (mut sids, mut refused) = (Vec::new(), 0);
    for _ in 0..1000 {
        let head = format!("GET {OPEN} HTTP/1.1\r\nHost: x\r\n\r\n");
        let answer = exchange_heads(&mut socket, &head).await;
        let length = answer.to_ascii_lowercase().split("content-length: ").nth(1).unwrap().to_owned();
        let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
        let mut body = vec![0; length];
        socket.read_exact(&mut body).await.unwrap();
        match &answer[..12] {
            "HTTP/1.1 200" => sids.push(String::from_utf8(body).unwrap().split('"').nth(3).unwrap().to_owned()),
            "HTTP/1.1 503" => refused += 1,
            _ => panic!("{answer}"),
        }
    }
    assert!(sids.len() >= 256 && sids.len() + refused == 1000, "{} {refused}", sids.len());
    // A session is opened only when fewer than 256 are pending, so one that is 300 sessions old has given way.
    if let Some(old) = sids.len().checked_sub(300) {
        let target = format!("{OPEN}&sid={}", sids[old]);
        assert_ne!(request(server.local_addr(), "POST", &target, "", "3").await.status, 200);
    }
    // A websocket is not affected.
    dial(&server.url(), SocketIoConnectorConfig::default()).await.unwrap();
}

/// As with 64 links that only answer pings.
#[tokio::test]
async fn a_link_without_a_plugin_handshake_gives_way_and_others_do_not() {
    let mut server = server(SocketIoServerConfig::default().max_connections(2)).await;
    let (url, plain) = (server.url(), SocketIoConnectorConfig::default);
    let mut links = Vec::new();
    for _ in 0..2 {
        let (link, engine) = soon(async { tokio::join!(server.accept(), dial(&url, plain())) }).await;
        links.push((link.unwrap(), engine.unwrap()));
    }
    let (mut idle, _idle_engine) = links.pop().unwrap();
    let (kept, mut engine) = links.pop().unwrap();
    let mut kept = admitted(kept);
    let third = async {
        loop {
            if let Ok(link) = dial(&url, plain()).await {
                break link;
            }
        }
    };
    let (mut third, third_link) = soon(async { tokio::join!(third, server.accept()) }).await;
    let end = end(&mut idle).await;
    assert!(matches!(end, LinkEnd::Closed { .. } | LinkEnd::Lost(_)), "{end:?}");
    for (from, to) in [(&mut engine, &mut kept), (&mut third, &mut third_link.unwrap())] {
        send(from, emit(1, Payload::null())).await.unwrap();
        assert_eq!(next_id(to).await, 1);
    }
}

#[tokio::test]
async fn before_the_plugin_handshake_a_peer_can_send_only_little() {
    let mut server = server(SocketIoServerConfig::default()).await;
    // Over a websocket.
    for admit in [false, true] {
        let mut ws = raw_ws(&server).await;
        send_text(&mut ws, "40").await;
        assert!(receive_text(&mut ws).await.unwrap().starts_with("40{"));
        let mut link = soon(server.accept()).await.unwrap();
        if admit {
            link.handshake_completed();
        }
        let text = format!(r#"42["message",{{"action":"emit","id":1,"payload":["{}"]}}]"#, "x".repeat(1 << 20));
        // Fails if the connection is reset meanwhile.
        let _ = ws.send(Frame::text(text)).await;
        match admit {
            true => assert_eq!(next_id(&mut link).await, 1),
            false => drop(end(&mut link).await),
        }
    }
    // Over long polling.
    for admit in [false, true] {
        let polling = Polling::connect(server.local_addr()).await;
        let mut link = soon(server.accept()).await.unwrap();
        if admit {
            link.handshake_completed();
        }
        let body = format!(r#"42["message",{{"action":"emit","id":1,"payload":["{}"]}}]"#, "x".repeat(1 << 20));
        let target = format!("{OPEN}&sid={}", polling.sid);
        let answer = request(server.local_addr(), "POST", &target, "Content-Type: text/plain\r\n", &body).await;
        match admit {
            true => assert_eq!((answer.status, next_id(&mut link).await), (200, 1)),
            false => assert_ne!(answer.status, 200),
        }
    }
}

/// Also where the server sees an IPv4 address as an IPv6 one.
#[tokio::test]
async fn engines_of_one_address_are_limited_except_of_this_machine() {
    let config =
        || SocketIoServerConfig::default().allow_remote(true).token("sesame").max_connections_per_address(Some(2));
    let engine = || SocketIoConnectorConfig::default().token("sesame");
    for bind in ["0.0.0.0:0", "[::]:0"] {
        // A machine may have no IPv6.
        let Ok(mut server) = SocketIoServer::bind(bind, config()).await else { continue };
        for (ip, limit) in [(Some(IpAddr::from([127, 0, 0, 1])), 4), (own_address(), 2)] {
            let Some(ip) = ip else { continue };
            let url = format!("http://{ip}:{}", server.local_addr().port());
            let mut connector = SocketIoConnector::new(engine());
            let mut links = Vec::new();
            for _ in 0..limit {
                links.push(link_to(&mut server, &mut connector, &url).await);
            }
            if limit == 2 {
                let refused = dial(&url, engine()).await.err().unwrap().to_string();
                assert!(refused.contains("max_connections_per_address allows 2"), "{refused}");
                links.pop();
                let mut again = link_to(&mut server, &mut connector, &url).await;
                exchange_texts(&mut again.0, &mut again.1).await;
            }
        }
    }
}
