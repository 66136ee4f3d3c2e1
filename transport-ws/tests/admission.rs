//! Peers that prove nothing neither keep engines out nor occupy much memory.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::*;
use connector_core::{ClientConnector, LinkEnd, Payload, PluginConnector};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use transport_ws::{WsConfig, WsConnector, WsConnectorConfig, WsServer, WsServerConfig};

/// Keeps upgrades alive for longer than any test.
fn patient() -> WsServerConfig {
    WsServerConfig::default().ws(WsConfig::default().accept_timeout(Duration::from_secs(3600)))
}

/// Opens a websocket and sends nothing more.
async fn idle(server: &mut WsServer) -> (TestLink, TcpStream) {
    let mut socket = TcpStream::connect(server.local_addr()).await.unwrap();
    socket.write_all(format!("{UPGRADE}\r\n").as_bytes()).await.unwrap();
    let (link, head) = soon(async { tokio::join!(server.accept(), read_head(&mut socket)) }).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    (link.unwrap(), socket)
}

#[tokio::test]
async fn silent_connections_do_not_keep_an_engine_out() {
    for config in [patient(), patient().token("sesame")] {
        let mut server = server(config).await;
        let url = server.url();
        let mut silent = Vec::new();
        // Several times the default max_handshakes. The kernel's backlog may be shorter.
        for _ in 0..10 {
            for _ in 0..100 {
                silent.push(TcpStream::connect(server.local_addr()).await.unwrap());
            }
            dial(&mut server, &url, WsConnectorConfig::default().token("sesame")).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_link_without_a_plugin_handshake_gives_way_and_others_do_not() {
    let mut server = server(WsServerConfig::default().max_connections(2)).await;
    let url = server.url();
    let (admitted, _one) = idle(&mut server).await;
    admitted.handshake_completed();
    let (mut idle, _two) = idle(&mut server).await;
    let (mut admitted, engine) = (admitted, async {
        loop {
            if let Ok(link) = WsConnector::default().connect(&url).await {
                break link;
            }
        }
    });
    let mut engine = soon(async {
        tokio::select! {
            engine = engine => engine,
            _ = async { loop { std::mem::forget(server.accept().await) } } => unreachable!(),
        }
    })
    .await;
    let end = end(&mut idle).await;
    assert!(matches!(&end, LinkEnd::Lost(why) if why.to_string().contains("displaced")), "{end:?}");
    send(&mut admitted, emit(1, Payload::null())).await.unwrap();
    send(&mut engine, emit(1, Payload::null())).await.unwrap();
}

#[tokio::test]
async fn before_the_plugin_handshake_a_peer_can_send_only_little() {
    const PART: usize = 70_000;
    let mut header = vec![0x82, 0x80 | 127];
    header.extend_from_slice(&(16u64 << 20).to_be_bytes());
    header.extend_from_slice(&[0; 4]);
    let mut server = server(WsServerConfig::default()).await;
    for admitted in [false, true] {
        let (mut link, mut socket) = idle(&mut server).await;
        if admitted {
            link.handshake_completed();
        }
        socket.write_all(&header).await.unwrap();
        socket.write_all(&[0; PART]).await.unwrap();
        if admitted {
            let rest = vec![0; (16 << 20) - PART];
            let (received, sent) = soon(async { tokio::join!(next(&mut link), socket.write_all(&rest)) }).await;
            received.unwrap().unwrap_err();
            sent.unwrap();
            continue;
        }
        let (end, (first, close)) = tokio::join!(end(&mut link), read_frame(&mut socket));
        assert!(matches!(end, LinkEnd::TooLarge { limit: 65_536 }), "{end:?}");
        assert_eq!((first, &close[..2]), (0x88, &1009u16.to_be_bytes()[..]));
    }
}

/// Also where the server sees an IPv4 address as an IPv6 one.
#[tokio::test]
async fn links_of_one_address_are_limited_except_of_this_machine() {
    let config = || WsServerConfig::default().allow_remote(true).token("sesame").max_connections_per_address(Some(2));
    for bind in ["0.0.0.0:0", "[::]:0"] {
        // A machine may have no IPv6.
        let Ok(mut server) = WsServer::bind(bind, config()).await else { continue };
        for (ip, limit) in [(Some(IpAddr::from([127, 0, 0, 1])), 4), (own_address(), 2)] {
            let Some(ip) = ip else { continue };
            let url = format!("ws://{ip}:{}", server.local_addr().port());
            let mut connector = WsConnector::new(WsConnectorConfig::default().token("sesame"));
            let mut links = Vec::new();
            for _ in 0..limit {
                links.push(link_to(&mut server, &mut connector, &url).await);
            }
            if limit == 2 {
                let refused =
                    dial(&mut server, &url, WsConnectorConfig::default().token("sesame")).await.err().unwrap();
                assert!(refused.to_string().contains("503"), "{refused}");
                links.pop();
                let mut again = link_to(&mut server, &mut connector, &url).await;
                exchange_texts(&mut again.0, &mut again.1).await;
            }
        }
    }
}
