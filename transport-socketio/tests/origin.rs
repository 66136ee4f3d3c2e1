//! Allowed origins.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use common::http::request;
use common::*;
use connector_core::ConnectError;
use tokio::net::TcpStream;
use transport_socketio::{SocketIoConnectorConfig, SocketIoServerConfig};

const POLL: &str = "/socket.io/?EIO=4&transport=polling";
const CORS: &str = "access-control-allow-origin: https://ide.example";

fn allowing() -> SocketIoServerConfig {
    SocketIoServerConfig::default().allow_origin("https://IDE.example").allow_origin("http://localhost:3000")
}

/// Header lines, and whether they are accepted.
const CASES: &[(&str, bool)] = &[
    ("", true),
    ("Origin: https://ide.example\r\n", true),
    ("Origin: http://localhost:3000\r\n", true),
    ("Origin: https://evil.example\r\n", false),
    ("Origin: https://ide.example.evil.example\r\n", false),
    ("Origin: https://ide.example:444\r\n", false),
    ("Origin: http://ide.example\r\n", false),
    ("Origin: http://localhost:3001\r\n", false),
    ("Origin: null\r\n", false),
    ("Origin: *\r\n", false),
    ("Origin: \r\n", false),
    ("Origin: https://ide.example\r\nOrigin: https://evil.example\r\n", false),
];

#[tokio::test]
async fn polling_requires_an_allowed_origin() {
    let server = server(allowing()).await;
    for (origin, allowed) in CASES {
        for target in [POLL, "/socket.io?EIO=4&transport=polling", "/socket.io/x"] {
            let answer = request(server.local_addr(), "GET", target, origin, "").await;
            assert_eq!(answer.status != 403, *allowed, "{origin} {target}");
            if !allowed {
                assert!(!answer.head.contains("access-control-allow-origin"), "{}", answer.head);
                assert!(answer.body.contains("SocketIoServerConfig::allow_origin"));
                // The status line carries the reason, too, for clients that show no body.
                assert!(
                    answer.head.lines().next().unwrap().contains("socketioserverconfig::allow_origin"),
                    "{}",
                    answer.head
                );
            }
        }
    }
    let answer = request(server.local_addr(), "GET", POLL, CASES[1].0, "").await;
    assert!(answer.status == 200 && answer.head.contains(CORS), "{}", answer.head);
    let answer = request(server.local_addr(), "GET", POLL, "", "").await;
    assert!(!answer.head.contains("access-control-allow-origin"), "{}", answer.head);
}

#[tokio::test]
async fn preflights_are_answered_for_allowed_origins() {
    let server = server(allowing()).await;
    for (origin, allowed) in CASES.iter().filter(|(origin, _)| !origin.is_empty()) {
        let headers =
            format!("{origin}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: content-type\r\n");
        let answer = request(server.local_addr(), "OPTIONS", POLL, &headers, "").await;
        assert_eq!(answer.status == 200, *allowed, "{origin} {}", answer.head);
        assert_eq!(answer.head.contains("access-control-allow-origin"), *allowed, "{}", answer.head);
        if *allowed {
            assert!(answer.head.contains("access-control-allow-methods: get,post"), "{}", answer.head);
            assert!(answer.head.contains("access-control-allow-headers: content-type"), "{}", answer.head);
        }
    }
}

#[tokio::test]
async fn websockets_require_an_allowed_origin() {
    let server = server(allowing()).await;
    for (origin, allowed) in CASES {
        let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
        let head = exchange_heads(&mut socket, &upgrade("", origin)).await;
        assert!(head.starts_with(if *allowed { "HTTP/1.1 101" } else { "HTTP/1.1 403" }), "{origin} {head}");
    }
    let config = SocketIoConnectorConfig::default().header("Origin", "https://evil.example");
    let end = dial(&server.url(), config).await.err().unwrap();
    assert!(matches!(&end, ConnectError::Refused(text) if text.contains("origin")), "{end:?}");
}

#[tokio::test]
async fn no_origin_is_allowed_by_default() {
    let server = server(SocketIoServerConfig::default()).await;
    for (origin, _) in &CASES[1..] {
        assert_eq!(request(server.local_addr(), "GET", POLL, origin, "").await.status, 403);
    }
}
