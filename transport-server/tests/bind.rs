//! Binding an address, and accepting connections.

use std::future::Future;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use transport_server::{BindError, Listener};

async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(30), future).await.expect("timed out")
}

async fn bind(addr: &str) -> Result<Listener, BindError> {
    soon(Listener::bind(addr, false, None)).await
}

#[tokio::test]
async fn only_loopback_addresses_are_bound_by_default() {
    for addr in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let error = bind(addr).await.unwrap_err();
        assert!(matches!(&error, BindError::Remote { addr: given } if given.ip() == ip(addr)), "{error:?}");
        assert!(error.to_string().contains("allow_remote"), "{error}");
    }
    let listener = soon(Listener::bind("0.0.0.0:0", true, None)).await.unwrap();
    assert_eq!(listener.url("x"), format!("x://127.0.0.1:{}", listener.local_addr().port()));
}

fn ip(addr: &str) -> std::net::IpAddr {
    addr.parse::<std::net::SocketAddr>().unwrap().ip()
}

#[tokio::test]
async fn bind_errors_name_the_cause() {
    let taken = bind("127.0.0.1:0").await.unwrap();
    let at = taken.local_addr().to_string();
    let error = bind(&at).await.unwrap_err();
    assert!(matches!(error, BindError::Io { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&at) && text.contains("port 0 picks a free one"), "{text}");
    for invalid in ["no-such-host.invalid:80", "127.0.0.1", "127.0.0.1:port", "4000", "ws://127.0.0.1:4000"] {
        let error = bind(invalid).await.unwrap_err();
        assert!(matches!(error, BindError::Resolve { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("give a host and a port") && text.contains(&format!("{invalid:?}")), "{text}");
    }
    let error = soon(Listener::bind("127.0.0.1:0", false, Some(""))).await.unwrap_err();
    assert!(matches!(error, BindError::EmptyToken), "{error:?}");
}

#[tokio::test]
async fn accepted_connections_survive_the_listener() {
    let mut listener = bind("127.0.0.1:0").await.unwrap();
    let mut dialled = soon(TcpStream::connect(listener.local_addr())).await.unwrap();
    let (accepted, peer) = soon(listener.accept()).await;
    assert_eq!(peer, dialled.local_addr().unwrap());
    assert!(accepted.nodelay().unwrap());
    drop(listener);
    accepted.try_write(b"x").unwrap();
    assert_eq!(soon(dialled.read_u8()).await.unwrap(), b'x');
}
