//! Links over `https://`.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::sync::Arc;

use common::*;
use connector_core::{ClientConnector, ConnectError, LinkEnd};
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use transport_socketio::{SocketIoConnectorConfig, SocketIoServerConfig};

/// A server configuration for `name`, and a client configuration that trusts it.
fn configs(name: &str) -> (Arc<rustls::ServerConfig>, native_tls::TlsConnector) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let server = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let root = native_tls::Certificate::from_der(made.cert.der()).unwrap();
    let client = native_tls::TlsConnector::builder().add_root_certificate(root).build().unwrap();
    (Arc::new(server), client)
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
