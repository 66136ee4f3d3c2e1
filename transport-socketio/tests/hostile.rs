//! Invalid input from the peer, and leaks of tasks and sockets.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::future::{Future, poll_fn};
use std::task::Poll;
use std::time::Duration;

use common::*;
use connector_core::{ClientConnector, LinkEnd, Payload};
use futures_util::SinkExt;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message as Frame;
use transport_socketio::{SocketIoConnectorConfig, SocketIoServerConfig};

fn sockets() -> usize {
    let names = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
    names.filter(|name| name.to_string_lossy().starts_with("socket:")).count()
}

/// Counts the process's sockets, so it runs itself again in a separate process.
#[cfg(target_os = "linux")]
#[test]
fn no_tasks_or_sockets_leak() {
    const CHILD_PROCESS: &str = "SOCKETIO_COUNTS_DESCRIPTORS";
    if std::env::var_os(CHILD_PROCESS).is_none() {
        let name = "no_tasks_or_sockets_leak";
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        let done = child.args(["--exact", name]).env(CHILD_PROCESS, "1").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
        return;
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
        let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
        let before = (sockets(), tasks());
        let mut server = server(SocketIoServerConfig::default().token("a")).await;
        let (url, right) = (server.url(), || SocketIoConnectorConfig::default().token("a"));
        for round in 0..8 {
            let (plugin, engine) = tokio::join!(server.accept(), dial(&url, right()));
            let (mut plugin, mut engine) = (plugin.unwrap(), engine.unwrap());
            send(&mut engine, emit(1, Payload::null())).await.unwrap();
            match round % 4 {
                0 => disconnect(&mut engine).await,
                1 => disconnect(&mut plugin).await,
                2 => drop(engine),
                _ => drop(plugin),
            }
        }
        dial(&url, SocketIoConnectorConfig::default()).await.err().unwrap();
        let mut connector = transport_socketio::SocketIoConnector::new(right());
        for polls in 1..20 {
            // Dropped at some point of the handshake.
            let dialling = connector_core::PluginConnector::connect(&mut connector, &url);
            tokio::pin!(dialling);
            for _ in 0..polls {
                if poll_fn(|cx| Poll::Ready(dialling.as_mut().poll(cx).is_ready())).await {
                    break;
                }
                tokio::task::yield_now().await;
            }
        }
        // A connection that is dropped with the server before it is accepted.
        let engine = dial(&url, right()).await.unwrap();
        drop((server, engine));
        let released = async {
            while (sockets(), tasks()) != before {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        // The longest wait is 5 s, for a missing CONNECT.
        let result = tokio::time::timeout(Duration::from_secs(10), released).await;
        assert!(result.is_ok(), "{:?} before, {:?} after", before, (sockets(), tasks()));
    });
}

fn random(mut state: u64) -> impl FnMut() -> usize {
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 16) as usize
    }
}

/// Mostly packets that are nearly valid, sometimes random bytes.
fn invalid_frame(random: &mut impl FnMut() -> usize) -> Frame {
    const PARTS: &[&str] = &[
        "4",
        "2",
        "0",
        "1",
        "3",
        "5",
        "6",
        "40",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "451-",
        "4599999999999999999999-",
        "452147483647-",
        "/",
        "/,",
        "/é,",
        "/a/{b},",
        ",",
        "7",
        "99999999999999999999",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "\"message\"",
        "\"é\\u0000",
        "{\"action\":\"emit\"}",
        "\u{1e}",
        "\u{0}",
        "null",
        "[\"message\",",
        "b",
        "bAAAA",
        "probe",
        " ",
        "-1",
    ];
    match random() % 8 {
        0 => Frame::binary((0..random() % 50).map(|_| random() as u8).collect::<Vec<u8>>()),
        1 => Frame::Ping(vec![0; random() % 100].into()),
        2 => Frame::text(event(1)),
        _ => Frame::text((0..random() % 6).map(|_| PARTS[random() % PARTS.len()]).collect::<String>()),
    }
}

#[tokio::test]
async fn no_bytes_make_a_link_panic_or_hang() {
    let mut random = random(0x2545_f491_4f6c_dd1d);
    for round in 0..200 {
        let (mut link, mut ws) = raw(round % 2 == 1).await;
        let frames: Vec<Frame> = (0..random() % 20).map(|_| invalid_frame(&mut random)).collect();
        let torn = random().is_multiple_of(4);
        let writing = async {
            for frame in &frames {
                if ws.send(frame.clone()).await.is_err() {
                    break;
                }
            }
            if torn {
                let _ = ws.get_mut().write_all(&[random() as u8; 7]).await;
            }
            drop(ws);
        };
        let (end, ()) = tokio::join!(end(&mut link), writing);
        let expected =
            matches!(end, LinkEnd::Closed { .. } | LinkEnd::Lost(_) | LinkEnd::BadFrame(_) | LinkEnd::TooLarge { .. });
        assert!(expected, "{round}: {end:?} after {frames:?}");
        assert_ended(&mut link, &end).await;
    }
}

/// Input before a link exists must not affect the server.
#[tokio::test]
async fn invalid_input_before_connect_does_not_affect_the_server() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let mut random = random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..100 {
        let mut ws = raw_ws(&server).await;
        for _ in 0..random() % 10 {
            if ws.send(invalid_frame(&mut random)).await.is_err() {
                break;
            }
        }
    }
    let url = server.url();
    let accepting = async {
        loop {
            drop(server.accept().await)
        }
    };
    let dialling = dial(&url, SocketIoConnectorConfig::default());
    soon(async {
        tokio::select! { link = dialling => drop(link.unwrap()), () = accepting => {} }
    })
    .await;
}
