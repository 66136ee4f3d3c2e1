//! Links in use: messages, bad frames, back-pressure.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use common::*;
use connector_core::{DecodeError, Payload, SendError};
use tokio::io::AsyncWriteExt;
use transport_ws::WsConfig;

#[tokio::test]
async fn messages_arrive_in_order_in_both_directions() {
    let (mut plugin, mut engine) = pair(WsConfig::default(), WsConfig::default()).await;
    for id in 0..100 {
        for link in [&mut plugin, &mut engine] {
            soon(poll_fn(|cx| link.poll_ready(cx))).await.unwrap();
            link.send(emit(id, Payload::new((id, "grüße")))).unwrap();
        }
    }
    for link in [&mut plugin, &mut engine] {
        soon(poll_fn(|cx| link.poll_flush(cx))).await.unwrap();
    }
    for id in 0..100 {
        for link in [&mut plugin, &mut engine] {
            let message = next(link).await.unwrap().unwrap();
            assert_eq!(message.id, Some(id.into()));
            assert_eq!(message.payload.unwrap().read::<(i64, String)>().unwrap(), (id, "grüße".to_owned()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_ends_send_more_than_the_buffers_hold() {
    // Frequent pings must not disturb the exchange.
    let config = WsConfig::default().ping_interval(Duration::from_millis(1)).ping_timeout(Duration::from_secs(20));
    let (plugin, engine) = pair(config.clone(), config).await;
    let (plugin, engine) =
        tokio::join!(tokio::spawn(exchange(plugin, 5000, 100)), tokio::spawn(exchange(engine, 5000, 100)));
    drop((plugin.unwrap(), engine.unwrap()));
}

#[tokio::test]
async fn large_and_empty_payloads_arrive_unchanged() {
    let (mut plugin, mut engine) = pair(WsConfig::default(), WsConfig::default()).await;
    let large = "x".repeat(1 << 20);
    for payload in
        [Payload::new((large.clone(),)), Payload::no_args(), Payload::new(""), Payload::new((large.clone(),))]
    {
        let want = payload.to_json().unwrap();
        for back in [false, true] {
            let (from, to) = if back { (&mut plugin, &mut engine) } else { (&mut engine, &mut plugin) };
            let (sent, received) = tokio::join!(send(from, emit(1, payload.clone())), next(to));
            sent.unwrap();
            assert_eq!(received.unwrap().unwrap().payload.unwrap().to_json().unwrap(), want);
        }
    }
}

#[tokio::test]
async fn an_unsendable_message_leaves_the_link_open() {
    let (mut plugin, mut engine) = pair(WsConfig::default(), WsConfig::default().max_sent_message(1000)).await;
    soon(poll_fn(|cx| engine.poll_ready(cx))).await.unwrap();
    let unserializable = std::collections::BTreeMap::from([((1, 2), 3)]);
    assert!(matches!(engine.send(emit(1, Payload::new(unserializable))), Err(SendError::Payload(_))));
    assert!(matches!(engine.send(emit(2, Payload::new("x".repeat(1000)))), Err(SendError::Payload(_))));
    send(&mut engine, emit(3, Payload::null())).await.unwrap();
    assert_eq!(next(&mut plugin).await.unwrap().unwrap().id, Some(3.into()));
}

#[tokio::test]
async fn invalid_messages_are_errors_in_their_position() {
    let (mut link, mut socket) = raw_engine(WsConfig::default()).await;
    let good = br#"{"action":"emit","id":1}"#;
    for (first, payload) in
        [(0x81, &good[..]), (0x82, good), (0x81, b"nonsense"), (0x81, b""), (0x81, b"{}"), (0x81, b"[1]"), (0x81, good)]
    {
        socket.write_all(&masked(first, payload)).await.unwrap();
    }
    assert_eq!(next(&mut link).await.unwrap().unwrap().id, Some(1.into()));
    assert!(matches!(next(&mut link).await.unwrap(), Err(DecodeError::WrongFrame("binary frames"))));
    for _ in 0..2 {
        assert!(matches!(next(&mut link).await.unwrap(), Err(DecodeError::NotJson(_))));
    }
    for _ in 0..2 {
        assert!(matches!(next(&mut link).await.unwrap(), Err(DecodeError::NotAMessage(_))));
    }
    assert_eq!(next(&mut link).await.unwrap().unwrap().id, Some(1.into()));
}

#[tokio::test]
async fn fragments_make_one_message() {
    let (mut link, mut socket) = raw_engine(WsConfig::default()).await;
    for (first, part) in [(0x01, &br#"{"action":"emit","#[..]), (0x89, b"ping"), (0x00, br#""id""#), (0x80, b":7}")] {
        socket.write_all(&masked(first, part)).await.unwrap();
    }
    assert_eq!(next(&mut link).await.unwrap().unwrap().id, Some(7.into()));
    assert_eq!(read_frame(&mut socket).await, (0x8a, b"ping".to_vec()));
}

#[tokio::test]
async fn a_ping_is_answered_without_a_sender() {
    let (mut link, mut socket) = raw_engine(WsConfig::default()).await;
    socket.write_all(&masked(0x89, b"hello")).await.unwrap();
    let reading = async {
        let _ = next(&mut link).await;
    };
    tokio::select! {
        () = reading => panic!("no message was sent"),
        pong = read_frame(&mut socket) => assert_eq!(pong, (0x8a, b"hello".to_vec())),
    }
}

#[tokio::test]
async fn a_peer_that_does_not_read_causes_back_pressure_and_can_still_send() {
    let (mut link, mut socket) = raw_engine(WsConfig::default()).await;
    let text = "x".repeat(64 * 1024);
    let mut sent: i64 = 0;
    // The kernel buffers some megabytes, and the link one more message.
    while !is_blocked(&mut link).await {
        link.send(emit(sent, Payload::new((text.clone(),)))).unwrap();
        sent += 1;
        assert!(sent < 500, "buffering is unbounded");
    }
    for _ in 0..10 {
        let flushing = poll_fn(|cx| Poll::Ready(link.poll_flush(cx).is_pending())).await;
        assert!(flushing && is_blocked(&mut link).await, "still not ready");
    }
    for id in 0..50 {
        socket.write_all(&masked(0x81, format!(r#"{{"action":"emit","id":{id}}}"#).as_bytes())).await.unwrap();
        socket.write_all(&masked(0x89, b"ping")).await.unwrap();
        assert_eq!(next(&mut link).await.unwrap().unwrap().id, Some(id.into()));
    }
    // When the peer reads, every message arrives, and the link is ready again.
    let reading = async {
        let mut seen = 0;
        while seen < sent {
            if let (0x81, payload) = read_frame(&mut socket).await {
                assert!(String::from_utf8_lossy(&payload[..40]).contains(&format!(r#""id":{seen},"#)));
                seen += 1;
            }
        }
    };
    let flushing = soon(poll_fn(|cx| link.poll_flush(cx)));
    let (flushed, ()) = tokio::join!(flushing, reading);
    flushed.unwrap();
    assert!(!is_blocked(&mut link).await);
}

#[tokio::test]
async fn a_peer_that_pings_and_never_reads_causes_no_loss() {
    // The buffer is so small that pongs fill it. The link then defers a message.
    let config = WsConfig::default().write_buffer(1024).max_sent_message(70_000);
    let (mut link, mut socket) = raw_engine(config).await;
    let text = "x".repeat(64 * 1024);
    let mut sent: i64 = 0;
    while !is_blocked(&mut link).await {
        link.send(emit(sent, Payload::new((text.clone(),)))).unwrap();
        sent += 1;
    }
    let pings = masked(0x89, &[b'p'; 125]).repeat(2000);
    let writing = async {
        socket.write_all(&pings).await.unwrap();
        socket.write_all(&masked(0x81, br#"{"action":"emit","id":1}"#)).await.unwrap();
    };
    let ((), received) = tokio::join!(writing, next(&mut link));
    assert_eq!(received.unwrap().unwrap().id, Some(1.into()));
    let reading = async {
        let mut seen = 0;
        while seen <= sent {
            let (first, _) = read_frame(&mut socket).await;
            seen += i64::from(first == 0x81);
        }
    };
    let (last, ()) = tokio::join!(send(&mut link, emit(sent, Payload::new((text.clone(),)))), reading);
    last.unwrap();
}
