//! Heads of HTTP requests that are too large.

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, timeout_at};

use super::raw;
use super::verdict::Side::Stranger;
#[cfg(feature = "socketio")]
use super::victim::Kind::Socketio;
use super::victim::Kind::Ws;
use super::{Case, Result, Target};

const HEADS: Case = Case::new("heads-ws", Ws, Stranger, 0, &heads)
    .about("requests with a URL of 1 MB, an origin of 1 MB, or headers without end, over 8 connections at a time")
    .brief();

pub(super) const CASES: &[Case] = &[
    HEADS,
    #[cfg(feature = "socketio")]
    HEADS.at("heads-socketio", Socketio),
];

const MB: usize = 1_000_000;

async fn heads(target: Target) -> Result<()> {
    let host = raw::authority(&target.url);
    let long = "x".repeat(MB);
    let headers: String = (0..50_000).map(|n| format!("X-Header-{n}: value\r\n")).collect();
    let heads = [
        format!("GET /{long} HTTP/1.1\r\nHost: {host}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{long}\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {host}\r\n{headers}"),
    ];
    let clients = (0..8).map(|client| {
        let (heads, target) = (&heads, &target);
        async move {
            for head in heads.iter().cycle().skip(client) {
                if Instant::now() >= target.until {
                    break;
                }
                let Ok(mut stream) = raw::open(target.kind, &target.url).await else { continue };
                // Until the victim answers or closes.
                let exchange = async {
                    let _ = stream.write_all(head.as_bytes()).await;
                    let _ = stream.read(&mut [0; 4096]).await;
                };
                let _ = timeout_at(target.until, exchange).await;
                target.count();
            }
        }
    });
    join_all(clients).await;
    Ok(())
}
