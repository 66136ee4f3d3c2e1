//! Rejected clients cause warnings that name the setting, at a bounded rate.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use common::http::request;
use common::*;
use conformance::traces;
use tracing::Level;
use transport_socketio::{SocketIoConnectorConfig, SocketIoServerConfig};

#[tokio::test]
async fn a_warning_names_the_setting() {
    let token = SocketIoServerConfig::default().token("sesame");
    let full = SocketIoServerConfig::default().max_connections(0);
    for (config, setting) in
        [(token, "SocketIoServerConfig::token"), (full, "SocketIoServerConfig::max_connections allows 0")]
    {
        let warnings = traces(Level::WARN);
        let server = server(config).await;
        let end = dial(&server.url(), SocketIoConnectorConfig::default().token("hunter2")).await.err().unwrap();
        assert!(end.to_string().contains(setting), "{end}");
        let all = warnings.containing("SocketIoServerConfig");
        assert!(all.len() == 1 && all[0].contains(setting), "{all:?}");
        assert!(!format!("{end}{all:?}").contains("sesame") && !format!("{end}{all:?}").contains("hunter2"), "{all:?}");
    }
}

#[tokio::test]
async fn warnings_are_rate_limited_and_bounded_in_length() {
    let warnings = traces(Level::WARN);
    let server = server(SocketIoServerConfig::default()).await;
    let origin = format!("Origin: https://{}\r\n", "x".repeat(5000));
    for _ in 0..200 {
        request(server.local_addr(), "GET", "/socket.io/?EIO=4&transport=polling", &origin, "").await;
    }
    let all = warnings.containing("SocketIoServerConfig");
    assert!(!all.is_empty() && all.len() < 100, "{}", all.len());
    let shown = |line: &String| line.contains("SocketIoServerConfig::allow_origin") && line.len() < 1000;
    assert!(all.iter().all(shown), "{all:?}");
}
