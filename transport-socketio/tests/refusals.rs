//! Rejected clients cause warnings that name the setting, at a bounded rate.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use common::http::request;
use common::*;
use conformance::traces;
use connector_core::{ClientConnector, ConnectError};
use tracing::Level;
use transport_socketio::{SocketIoConnectorConfig, SocketIoServer, SocketIoServerConfig, mount};

#[tokio::test]
async fn a_warning_names_the_setting() {
    let token = SocketIoServerConfig::default().token("sesame");
    let full = SocketIoServerConfig::default().max_connections(1);
    for (config, setting) in
        [(token, "SocketIoServerConfig::token"), (full, "SocketIoServerConfig::max_connections allows 1")]
    {
        let warnings = traces(Level::WARN);
        let is_small = config.max_connections == 1;
        let mut server = server(config).await;
        let mut only = None;
        if is_small {
            let engine = dial(&server.url(), SocketIoConnectorConfig::default()).await.unwrap();
            only = Some((engine, admitted(soon(server.accept()).await.unwrap())));
        }
        let end = dial(&server.url(), SocketIoConnectorConfig::default().token("hunter2")).await.err().unwrap();
        assert!(end.to_string().contains(setting), "{end}");
        let all = warnings.containing("SocketIoServerConfig");
        assert!(all.len() == 1 && all[0].contains(setting), "{all:?}");
        assert!(!format!("{end}{all:?}").contains("sesame") && !format!("{end}{all:?}").contains("hunter2"), "{all:?}");
        drop(only);
    }
}

#[tokio::test]
async fn a_setting_that_cannot_work_is_an_error_of_bind_and_of_dialling() {
    let config = SocketIoServerConfig::default().max_message(0);
    let error = SocketIoServer::bind("127.0.0.1:0", config.clone()).await.unwrap_err();
    assert!(error.to_string().starts_with("SocketIoServerConfig::max_message is 0"), "{error}");
    assert!(mount(config).is_err());
    let error = dial("http://127.0.0.1:9", SocketIoConnectorConfig::default().max_message(0)).await.err().unwrap();
    assert!(matches!(&error, ConnectError::Refused(why) if why.contains("max_message is 0")), "{error:?}");
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

#[tokio::test]
async fn another_program_at_the_port_is_named_as_the_cause() {
    for answer in ["SSH-2.0-other\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 101 x\r\n\r\n"] {
        let url = format!("http://{}", other_program(answer).await);
        let error = dial(&url, SocketIoConnectorConfig::default()).await.err().unwrap();
        let text = error.to_string();
        assert!(text.contains("it is not a plugin's socket.io server; check the url's port"), "{answer}: {text}");
        assert!(error.is_retryable() && text.matches("protocol error").count() <= 1, "{answer}: {text}");
    }
}
