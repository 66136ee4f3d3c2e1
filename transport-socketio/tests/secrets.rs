//! Errors, traces and events show only the scheme, host and port of a URL, and permanent errors are refused at once.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use common::*;
use conformance::no_secret;
use connector_core::ConnectError;
use transport_socketio::{SocketIoConnector, SocketIoConnectorConfig, SocketIoServerConfig};

#[tokio::test]
async fn an_unreachable_plugin_does_not_leak_its_url() {
    for (name, url) in [
        ("closed", "http://hunter:s3cret@127.0.0.1:1/t0ken?a=qu3ry#fr4gment"),
        ("odd-port", "http://hunter:s3cret@127.0.0.1:99999/t0ken"),
        ("odd-scheme", "ftp://hunter:s3cret@127.0.0.1:1/t0ken"),
        ("no-scheme", "hunter:s3cret@127.0.0.1:1/t0ken"),
        ("no-host", "http://hunter:s3cret@/t0ken"),
        ("slash", "http://hunter:s3/cret@127.0.0.1:1/t0ken"),
        ("unknown", "http://hunter:s3cret@no-such-host.invalid/t0ken"),
    ] {
        no_secret(&texts_of_failed(transport_socketio::plugin(name, url), name).await);
        let end = dial(url, SocketIoConnectorConfig::default()).await.err().unwrap();
        no_secret(&format!("{end} {end:?}"));
        assert!(matches!(end, ConnectError::Refused(_)), "{name}: {end:?}");
    }
}

#[tokio::test]
async fn an_unknown_namespace_does_not_leak_its_url() {
    let server = server(SocketIoServerConfig::default()).await;
    let url = format!("http://hunter:s3cret@{}/t0ken?a=qu3ry", server.local_addr());
    let end = dial(&url, SocketIoConnectorConfig::default()).await.err().unwrap();
    no_secret(&format!("{end} {end:?}"));
    assert!(matches!(end, ConnectError::Refused(_)), "{end:?}");
}

#[tokio::test]
async fn a_lost_link_does_not_leak_its_url() {
    let server = server(SocketIoServerConfig::default().token("hunter2")).await;
    let url = format!("http://hunter:s3cret@{}/?a=qu3ry#fr4gment", server.local_addr());
    let connector = SocketIoConnector::new(SocketIoConnectorConfig::default().token("hunter2"));
    let texts = texts_of_lost(server, connector, &url).await;
    assert!(no_secret(&texts).contains("http://127.0.0.1:"), "{texts}");
}

#[test]
fn configurations_do_not_print_secrets() {
    let server = SocketIoServerConfig::default().token("hunter2");
    let connector = SocketIoConnectorConfig::default().token("hunter2").header("Cookie", "hunter3");
    assert!(no_secret(&format!("{server:?} {connector:?}")).contains("Cookie"), "the names of headers are shown");
}
