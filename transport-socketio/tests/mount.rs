//! The plugin's end mounted on an axum service.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use axum::http::{Method, StatusCode};
use axum::routing::get;
use common::http::{Polling, request};
use common::*;
use connector_core::{ClientConnector, LinkEnd, Payload};
use transport_socketio::{SocketIoConnectorConfig, SocketIoEngines, SocketIoServerConfig, mount};

async fn own(method: Method) -> impl axum::response::IntoResponse {
    match method {
        Method::OPTIONS => (StatusCode::IM_A_TEAPOT, [("x-own", "options")], "options"),
        _ => (StatusCode::OK, [("access-control-allow-origin", "*")], "own"),
    }
}

async fn mounted(config: SocketIoServerConfig) -> (std::net::SocketAddr, SocketIoEngines) {
    let (layer, engines) = mount(config).unwrap();
    let app = axum::Router::new()
        .route("/", get(own).options(own))
        .route("/socket.io.txt", get(own))
        .route("/socket.iox/", get(own).options(own))
        .layer(layer);
    let (listener, _) = listener().await;
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (addr, engines)
}

#[tokio::test]
async fn a_mounted_layer_makes_links_and_does_not_affect_other_routes() {
    let (addr, mut engines) = mounted(SocketIoServerConfig::default().allow_origin("https://ide.example")).await;
    let url = format!("http://{addr}");
    let (plugin, engine) =
        soon(async { tokio::join!(engines.accept(), dial(&url, SocketIoConnectorConfig::default())) }).await;
    let (mut plugin, mut engine) = (admitted(plugin.unwrap()), engine.unwrap());
    for back in [false, true] {
        let (from, to) = if back { (&mut plugin, &mut engine) } else { (&mut engine, &mut plugin) };
        let (sent, id) = tokio::join!(send(from, emit(7, Payload::new("x".repeat(1 << 20)))), next_id(to));
        sent.unwrap();
        assert_eq!(id, 7);
    }

    for origin in ["", "Origin: https://evil.example\r\n", "Origin: https://ide.example\r\n"] {
        for target in ["/", "/socket.io.txt", "/socket.iox/"] {
            let answer = request(addr, "GET", target, origin, "").await;
            assert_eq!((answer.status, answer.body.as_str()), (200, "own"), "{target}");
            assert!(answer.head.contains("access-control-allow-origin: *"), "{}", answer.head);
            assert_eq!(answer.head.matches("access-control").count(), 1, "{}", answer.head);
        }
        let headers = format!("{origin}Access-Control-Request-Method: GET\r\n");
        let answer = request(addr, "OPTIONS", "/", &headers, "").await;
        assert_eq!((answer.status, answer.body.as_str()), (418, "options"));
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
        assert_eq!(request(addr, "GET", "/none", origin, "").await.status, 404);
    }
    let poll = "/socket.io/?EIO=4&transport=polling";
    assert_eq!(request(addr, "GET", poll, "Origin: https://evil.example\r\n", "").await.status, 403);
    assert_eq!(request(addr, "GET", poll, "Origin: https://ide.example\r\n", "").await.status, 200);

    disconnect(&mut plugin).await;
    assert!(matches!(end(&mut engine).await, LinkEnd::Closed { .. }));
}

#[tokio::test]
async fn polling_requires_the_token_and_the_namespace() {
    let (addr, mut engines) = mounted(SocketIoServerConfig::default().token("sesame").namespace("/a")).await;
    let polling = Polling::open(addr).await;
    polling.post(r#"40/a,{"token":"open"}"#).await;
    assert!(polling.packets().await[0].starts_with("44/a,"));
    polling.post(r#"40/a,{"token":"sesame"}"#).await;
    assert!(polling.packets().await[0].starts_with("40/a,"));
    polling.post(r#"42/a,["message",{"action":"emit","id":3}]"#).await;
    let mut link = soon(engines.accept()).await.unwrap();
    assert_eq!(next_id(&mut link).await, 3);
}

/// Without the layer and its services no links can be made.
#[tokio::test]
async fn accept_fails_after_the_layer_is_dropped() {
    let (layer, mut engines) = mount(SocketIoServerConfig::default()).unwrap();
    let router: axum::Router = axum::Router::new().route("/", get(own)).layer(layer);
    drop(router);
    assert!(matches!(soon(engines.accept()).await, Err(LinkEnd::Closed { .. })));
}

/// Without a receiver the links of new engines are closed.
#[tokio::test]
async fn links_are_closed_after_the_connector_is_dropped() {
    let (addr, engines) = mounted(SocketIoServerConfig::default()).await;
    drop(engines);
    let mut link = dial(&format!("http://{addr}"), SocketIoConnectorConfig::default()).await.unwrap();
    assert!(matches!(end(&mut link).await, LinkEnd::Closed { .. }));
}
