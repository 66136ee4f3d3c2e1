//! Links over `https://`.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::*;
use connector_core::{ClientConnector, ConnectError, LinkEnd};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::{TlsConnector, rustls};
use transport_socketio::{SocketIoConnectorConfig, SocketIoServerConfig};

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn certificate(name: &str) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    rcgen::generate_simple_self_signed([name.to_owned()]).unwrap()
}

fn server_config(made: &rcgen::CertifiedKey<rcgen::KeyPair>) -> Arc<rustls::ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key);
    Arc::new(server.unwrap())
}

/// A server configuration for `name`, and a client configuration that trusts it.
fn configs(name: &str) -> (Arc<rustls::ServerConfig>, native_tls::TlsConnector) {
    let made = certificate(name);
    let root = native_tls::Certificate::from_der(made.cert.der()).unwrap();
    let client = native_tls::TlsConnector::builder().add_root_certificate(root).build().unwrap();
    (server_config(&made), client)
}

#[tokio::test]
async fn both_ends_speak_tls() {
    let (tls, trust) = configs("127.0.0.1");
    let mut server = server(SocketIoServerConfig::default().tls(tls).token("sesame").namespace("/a")).await;
    let url = server.url();
    assert!(url.starts_with("https://127.0.0.1:") && url.ends_with("/a"), "{url}");
    let config = SocketIoConnectorConfig::default().tls(trust).token("sesame");
    let (plugin, engine) = soon(async { tokio::join!(server.accept(), dial(&url, config)) }).await;
    let (mut plugin, mut engine) = (admitted(plugin.unwrap()), engine.unwrap());
    exchange_texts(&mut plugin, &mut engine).await;
    let ((), end) = tokio::join!(disconnect(&mut engine), end(&mut plugin));
    assert!(matches!(end, LinkEnd::Closed { .. }), "{end:?}");
}

#[tokio::test]
async fn untrusted_certificates_are_refused() {
    let (tls, trust) = configs("another.example");
    for config in [SocketIoConnectorConfig::default(), SocketIoConnectorConfig::default().tls(trust)] {
        let server = server(SocketIoServerConfig::default().tls(tls.clone())).await;
        let end = dial(&server.url(), config).await.err().unwrap();
        assert!(
            matches!(&end, ConnectError::Refused(text) if text.contains("SocketIoConnectorConfig::tls")),
            "{end:?}"
        );
    }
}

#[tokio::test]
async fn errors_suggest_the_other_scheme_if_one_end_lacks_tls() {
    let (tls, _) = configs("127.0.0.1");
    let plain = server(SocketIoServerConfig::default()).await;
    let url = plain.url().replace("http://", "https://");
    let end = dial(&url, SocketIoConnectorConfig::default()).await.err().unwrap();
    assert!(matches!(end, ConnectError::Refused(_) | ConnectError::Failed(_)), "{end:?}");
    assert!(end.to_string().contains("try http://"), "{end}");
    let secure = server(SocketIoServerConfig::default().tls(tls)).await;
    let url = secure.url().replace("https://", "http://");
    let end = dial(&url, SocketIoConnectorConfig::default()).await.err().unwrap();
    assert!(matches!(end, ConnectError::Protocol(_) | ConnectError::Failed(_)), "{end:?}");
    assert!(end.to_string().contains("whether the url needs http:// or https://"), "{end}");
}

/// The beginning of a TLS handshake: a record of 512 bytes, of which one follows.
const STALLED: &[u8] = &[22, 3, 1, 2, 0, 1];

#[tokio::test]
async fn stalled_tls_handshakes_do_not_keep_an_engine_out() {
    let (tls, trust) = configs("127.0.0.1");
    let server = server(SocketIoServerConfig::default().tls(tls)).await;
    let mut stalled = Vec::new();
    // Several times the number of connections that may be pending. The kernel's backlog may be shorter.
    for _ in 0..10 {
        stalled.push(connect_without_links(server.local_addr(), &[STALLED; 100]).await);
        dial(&server.url(), SocketIoConnectorConfig::default().tls(trust.clone())).await.unwrap();
    }
}

/// Within the handshake, or after it. The clock advances while both ends wait.
#[tokio::test(start_paused = true)]
async fn a_stalled_tls_connection_is_closed() {
    let made = certificate("127.0.0.1");
    let server = server(SocketIoServerConfig::default().tls(server_config(&made))).await;
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    socket.write_all(STALLED).await.unwrap();
    // A reset is an end as well.
    let _ = soon(socket.read_to_end(&mut Vec::new())).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let trust = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let trust = TlsConnector::from(Arc::new(trust));
    // The clock may end this handshake as well.
    let mut socket = loop {
        let socket = TcpStream::connect(server.local_addr()).await.unwrap();
        if let Ok(socket) = soon(trust.connect("127.0.0.1".try_into().unwrap(), socket)).await {
            break socket;
        }
    };
    let _ = socket.write_all(b"GET / HTTP/1.1\r\n").await;
    let _ = soon(socket.read_to_end(&mut Vec::new())).await;
}

#[tokio::test]
async fn dialling_a_server_that_stalls_in_the_tls_handshake_times_out() {
    let (listener, url) = listener().await;
    let url = url.replace("http://", "https://");
    let stalls = async {
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(STALLED).await.unwrap();
        std::future::pending::<()>().await
    };
    let limit = Duration::from_millis(200);
    let dialled = tokio::select! {
        dialled = dial(&url, SocketIoConnectorConfig::default().connect_timeout(limit)) => dialled,
        () = stalls => unreachable!(),
    };
    assert!(matches!(dialled.err().unwrap(), ConnectError::TimedOut(after) if after == limit));
}
