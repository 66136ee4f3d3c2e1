//! Errors, traces, events and `Debug` output show only the scheme, host and port of a URL.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use common::*;
use conformance::{no_secret, traces};
use connector_core::PluginConnector;
use tracing::Level;
use transport_ws::{WsConnector, WsConnectorConfig, WsServerConfig};

fn secret(port: u16) -> String {
    format!("ws://hunter:s3cret@127.0.0.1:{port}/t0ken?a=qu3ry#fr4gment")
}

#[tokio::test]
async fn an_unreachable_plugin_does_not_leak_its_url() {
    let traces = traces(Level::TRACE);
    for (name, url) in [
        ("closed", secret(1)),
        ("odd-port", "ws://hunter:s3cret@127.0.0.1:99999/t0ken".to_owned()),
        ("odd-scheme", "http://hunter:s3cret@127.0.0.1:1/t0ken".to_owned()),
        ("no-scheme", "hunter:s3cret@127.0.0.1:1/t0ken".to_owned()),
        ("no-host", "ws://hunter:s3cret@/t0ken".to_owned()),
        ("slash", "ws://hunter:s3/cret@127.0.0.1:1/t0ken".to_owned()),
        ("space", "ws://hunter:s3cret@127.0.0.1 :1/t0ken".to_owned()),
    ] {
        no_secret(&texts_of_failed(transport_ws::plugin(name, &url), name).await);
        let error = WsConnector::default().connect(&url).await.err().unwrap();
        no_secret(&format!("{error} {error:?}"));
    }
    no_secret(&traces.lines().concat());
}

#[tokio::test]
async fn a_lost_link_does_not_leak_its_url() {
    let server = server(WsServerConfig::default()).await;
    let url = secret(server.local_addr().port());
    let connector = WsConnector::new(WsConnectorConfig::default().token("hunter2"));
    let texts = texts_of_lost(server, connector, &url).await;
    assert!(no_secret(&texts).contains("ws://127.0.0.1:"), "{texts}");
}

#[test]
fn configurations_do_not_print_secrets() {
    let server = WsServerConfig::default().token("hunter2");
    let connector = WsConnectorConfig::default().token("hunter2").header("Cookie", "hunter3");
    assert!(no_secret(&format!("{server:?} {connector:?}")).contains("Cookie"), "the names of headers are shown");
}

#[cfg(feature = "stp")]
#[tokio::test]
async fn an_unreachable_stp_does_not_leak_its_url() {
    use connector_core::stp::{StpConnector, StpService, StpTimeout};
    use transport_ws::stp::StpWsConnector;

    let traces = traces(Level::TRACE);
    for url in [secret(1), "hunter:s3cret@127.0.0.1/t0ken".to_owned(), "ws://hunter:s3cret@:9/t0ken".to_owned()] {
        let connector = StpWsConnector::new(&url);
        no_secret(&format!("{connector:?}"));
        let service = StpService::new("Tasks", ["GetTasks"]);
        let error = soon(connector.connect(service, StpTimeout::from_seconds(5.0))).await.unwrap_err();
        no_secret(&format!("{error} {error:?}"));
    }
    no_secret(&traces.lines().concat());
}
