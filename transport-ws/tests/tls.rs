//! Links over `wss://`.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use connector_core::{ClientConnector, ConnectError, LinkEnd, PluginConnector};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use transport_ws::{WsConfig, WsConnector, WsConnectorConfig, WsServer, WsServerConfig};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A server configuration for `name`, and a client configuration that trusts it.
fn configs(name: &str) -> (Arc<rustls::ServerConfig>, Arc<rustls::ClientConfig>) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let cert: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.clone()], key)
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (Arc::new(server), Arc::new(client))
}

#[tokio::test]
async fn both_ends_speak_tls() {
    let (tls, trust) = configs("127.0.0.1");
    let mut server = server(WsServerConfig::default().tls(tls).token("sesame")).await;
    let url = server.url();
    assert!(url.starts_with("wss://127.0.0.1:"), "{url}");
    let mut connector = WsConnector::new(WsConnectorConfig::default().tls(trust).token("sesame"));
    let (mut plugin, mut engine) = link_to(&mut server, &mut connector, &url).await;
    exchange_texts(&mut plugin, &mut engine).await;
    let ((), end) = tokio::join!(disconnect(&mut engine), end(&mut plugin));
    assert!(matches!(end, LinkEnd::Closed { code: Some(1000), .. }), "{end:?}");
}

#[tokio::test]
async fn a_message_over_the_limit_ends_a_tls_link_at_both_ends() {
    let (mut server, trust) = tls_server(WsConfig::default().max_message(1000)).await;
    let url = server.url();
    let mut connector = WsConnector::new(WsConnectorConfig::default().tls(trust));
    let (mut plugin, mut engine) = link_to(&mut server, &mut connector, &url).await;
    send_too_large(&mut engine, &mut plugin, 10 << 20).await;
}

#[tokio::test]
async fn untrusted_certificates_are_refused() {
    let (tls, trust) = configs("another.example");
    for config in [WsConnectorConfig::default(), WsConnectorConfig::default().tls(trust)] {
        let mut server = server(WsServerConfig::default().tls(tls.clone())).await;
        let url = server.url();
        let end = dial(&mut server, &url, config).await.err().unwrap();
        assert!(matches!(&end, ConnectError::Refused(text) if text.contains("WsConnectorConfig::tls")), "{end:?}");
    }
}

#[tokio::test]
async fn errors_suggest_the_other_scheme_if_one_end_lacks_tls() {
    let (tls, _) = configs("127.0.0.1");
    let mut plain = server(WsServerConfig::default()).await;
    let url = plain.url().replace("ws://", "wss://");
    let end = dial(&mut plain, &url, WsConnectorConfig::default()).await.err().unwrap();
    assert!(matches!(&end, ConnectError::Protocol(text) if text.contains("dial it as ws://")), "{end:?}");
    let mut secure = server(WsServerConfig::default().tls(tls)).await;
    let url = secure.url().replace("wss://", "ws://");
    let end = dial(&mut secure, &url, WsConnectorConfig::default()).await.err().unwrap();
    assert!(matches!(end, ConnectError::Protocol(_) | ConnectError::Failed(_)), "{end:?}");
    assert!(end.to_string().contains("whether the url needs ws:// or wss://"), "{end}");
}

/// A server for `127.0.0.1`, and a client configuration that trusts it.
async fn tls_server(ws: WsConfig) -> (WsServer, Arc<rustls::ClientConfig>) {
    let (tls, trust) = configs("127.0.0.1");
    (server(WsServerConfig::default().tls(tls).ws(ws)).await, trust)
}

/// The error of dialling `wss://` at a server that does this with the connection.
async fn dial_tls(ws: WsConfig, serve: impl AsyncFnOnce(TcpStream)) -> ConnectError {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}", listener.local_addr().unwrap());
    let serving = async { serve(listener.accept().await.unwrap().0).await };
    let mut connector = WsConnector::new(WsConnectorConfig::default().ws(ws));
    let (dialled, ()) = soon(async { tokio::join!(connector.connect(&url), serving) }).await;
    dialled.err().unwrap()
}

#[tokio::test]
async fn a_server_that_hangs_up_on_tls_may_be_a_ws_server() {
    let hangs_up = async |mut socket: TcpStream| assert!(socket.read(&mut [0; 4096]).await.unwrap() > 0);
    let end = dial_tls(WsConfig::default(), hangs_up).await;
    assert!(matches!(end, ConnectError::Failed(_)), "{end:?}");
    assert!(end.to_string().contains("try ws://"), "{end}");
}

/// The beginning of a TLS handshake: a record of 512 bytes, of which one follows.
const STALLED: &[u8] = &[22, 3, 1, 2, 0, 1];

#[tokio::test]
async fn stalled_tls_handshakes_do_not_keep_an_engine_out() {
    let (mut server, trust) = tls_server(WsConfig::default().accept_timeout(Duration::from_secs(3600))).await;
    let url = server.url();
    let mut stalled = Vec::new();
    // Several times the default max_handshakes. The kernel's backlog may be shorter.
    for _ in 0..10 {
        stalled.push(connect_without_links(server.local_addr(), &[STALLED; 100]).await);
        dial(&mut server, &url, WsConnectorConfig::default().tls(trust.clone())).await.unwrap();
    }
}

/// Within the handshake, or after it.
#[tokio::test]
async fn a_stalled_tls_connection_is_closed() {
    let (mut server, trust) = tls_server(WsConfig::default().accept_timeout(Duration::from_millis(500))).await;
    let local = server.local_addr();
    let closed = async {
        let mut socket = TcpStream::connect(local).await.unwrap();
        socket.write_all(STALLED).await.unwrap();
        // A reset is an end as well.
        let _ = socket.read_to_end(&mut Vec::new()).await;
        let socket = TcpStream::connect(local).await.unwrap();
        let mut socket = TlsConnector::from(trust).connect("127.0.0.1".try_into().unwrap(), socket).await.unwrap();
        socket.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let _ = socket.read_to_end(&mut Vec::new()).await;
    };
    soon(async {
        tokio::select! {
            () = closed => {}
            _ = server.accept() => unreachable!(),
        }
    })
    .await;
}

#[tokio::test]
async fn dialling_a_server_that_stalls_in_the_tls_handshake_times_out() {
    let stalls = async |mut socket: TcpStream| {
        socket.write_all(STALLED).await.unwrap();
        // Until the connector gives up.
        let _ = socket.read_to_end(&mut Vec::new()).await;
    };
    let brief = WsConfig::default().connect_timeout(Duration::from_millis(200));
    let end = dial_tls(brief, stalls).await;
    assert!(matches!(end, ConnectError::TimedOut(limit) if limit == Duration::from_millis(200)));
}
