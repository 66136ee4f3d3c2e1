//! How links end.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::time::Duration;

use common::*;
use connector_core::{LinkEnd, Payload};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use transport_ws::WsConfig;

fn short() -> WsConfig {
    WsConfig::default()
        .ping_interval(Duration::from_millis(50))
        .ping_timeout(Duration::from_millis(50))
        .close_timeout(Duration::from_millis(50))
}

#[tokio::test]
async fn disconnect_flushes_and_then_closes_with_1000() {
    for back in [false, true] {
        let (plugin, engine) = pair(WsConfig::default(), WsConfig::default()).await;
        let (mut leaving, mut staying) = if back { (plugin, engine) } else { (engine, plugin) };
        std::future::poll_fn(|cx| leaving.poll_ready(cx)).await.unwrap();
        leaving.send(emit(1, Payload::null())).unwrap();
        let last = async {
            assert_eq!(next(&mut staying).await.unwrap().unwrap().id, Some(1.into()));
            end(&mut staying).await
        };
        let ((), end) = tokio::join!(disconnect(&mut leaving), last);
        assert!(matches!(&end, LinkEnd::Closed { code: Some(1000), reason } if reason.is_empty()), "{end:?}");
        assert_ended(&mut staying, &end).await;
        assert_ended(&mut leaving, &LinkEnd::Disconnected).await;
    }
}

#[tokio::test]
async fn both_ends_may_disconnect_at_once() {
    let (mut plugin, mut engine) = pair(WsConfig::default(), WsConfig::default()).await;
    tokio::join!(disconnect(&mut plugin), disconnect(&mut engine));
    assert_ended(&mut plugin, &LinkEnd::Disconnected).await;
}

#[tokio::test]
async fn disconnect_is_bounded_when_the_other_end_is_dead() {
    let (mut link, _socket) = raw_engine(short()).await;
    disconnect(&mut link).await;
    // The same with full buffers.
    let (mut link, _socket) = raw_engine(short()).await;
    while !is_blocked(&mut link).await {
        link.send(emit(1, Payload::new("x".repeat(1 << 20)))).unwrap();
    }
    disconnect(&mut link).await;
    assert_ended(&mut link, &LinkEnd::Disconnected).await;
}

#[tokio::test]
async fn a_peer_that_floods_the_link_does_not_delay_its_end() {
    for broken in [false, true] {
        let (mut link, socket) = raw_engine(short()).await;
        let mut socket = socket.into_std().unwrap();
        socket.set_nonblocking(false).unwrap();
        // A thread, so that there is always data to read.
        let flooding = std::thread::spawn(move || {
            use std::io::Write;
            let frames = masked(if broken { 0x83 } else { 0x81 }, br#"{"action":"emit"}"#).repeat(1000);
            while socket.write_all(&frames).is_ok() {}
        });
        if broken {
            let end = end(&mut link).await;
            assert!(matches!(end, LinkEnd::BadFrame(_)), "{end:?}");
        } else {
            next(&mut link).await.unwrap().unwrap();
            disconnect(&mut link).await;
        }
        drop(link);
        flooding.join().unwrap();
    }
}

#[tokio::test]
async fn no_bytes_make_a_link_panic_or_hang() {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..200 {
        let (mut link, mut socket) = raw_engine(short().max_message(1000)).await;
        let mut bytes = Vec::new();
        for _ in 0..random() % 20 {
            let payload: Vec<u8> = (0..random() % 200).map(|_| random() as u8).collect();
            // Mostly frames that are nearly valid, sometimes random bytes.
            match random() % 8 {
                0 => bytes.extend_from_slice(&payload),
                1 => bytes.extend(masked(0x81, br#"{"action":"emit"}"#)),
                _ => bytes.extend(masked((random() % 16 + if random() % 4 == 0 { 0 } else { 0x80 }) as u8, &payload)),
            }
        }
        let writing = async {
            let _ = socket.write_all(&bytes).await;
            drop(socket);
        };
        let (end, ()) = tokio::join!(end(&mut link), writing);
        assert!(!matches!(end, LinkEnd::Disconnected | LinkEnd::Unreachable(_)), "round {round}: {end:?}");
        assert_ended(&mut link, &end).await;
    }
}

#[tokio::test]
async fn code_and_reason_are_reported_and_answered() {
    for (payload, code, reason) in [
        (&b"\x03\xe8"[..], 1000, ""),
        (b"\x03\xe9going away", 1001, "going away"),
        (b"\x0f\xa0mine", 4000, "mine"),
        (b"", 1005, ""),
    ] {
        let (mut link, mut socket) = raw_engine(WsConfig::default()).await;
        socket.write_all(&masked(0x81, br#"{"action":"emit","id":1}"#)).await.unwrap();
        socket.write_all(&masked(0x88, payload)).await.unwrap();
        assert_eq!(next(&mut link).await.unwrap().unwrap().id, Some(1.into()));
        let end = end(&mut link).await;
        let LinkEnd::Closed { code: Some(c), reason: r } = &end else { panic!("{end:?}") };
        assert_eq!((*c, r.as_str()), (code, reason));
        assert_eq!(read_frame(&mut socket).await, (0x88, payload.to_vec()));
        assert_ended(&mut link, &end).await;
    }
}

#[tokio::test]
async fn a_close_that_cannot_be_answered_is_still_reported() {
    let (mut link, mut socket) = raw_engine(short()).await;
    while !is_blocked(&mut link).await {
        link.send(emit(1, Payload::new("x".repeat(1 << 20)))).unwrap();
    }
    socket.write_all(&masked(0x88, b"\x03\xe8")).await.unwrap();
    let end = end(&mut link).await;
    assert!(matches!(end, LinkEnd::Closed { code: Some(1000), .. }), "{end:?}");
}

#[tokio::test]
async fn a_message_over_the_limit_ends_the_link_at_both_ends() {
    for back in [false, true] {
        let small = WsConfig::default().max_message(1000);
        // One message fits into the kernel's buffers, the other does not.
        for size in [1001, 15 << 20] {
            let (mut from, mut to) = if back {
                let (plugin, engine) = pair(WsConfig::default(), small.clone()).await;
                (plugin, engine)
            } else {
                let (plugin, engine) = pair(small.clone(), WsConfig::default()).await;
                (engine, plugin)
            };
            let received = send_too_large(&mut from, &mut to, size).await;
            assert_ended(&mut to, &received).await;
        }
    }
}

#[tokio::test]
async fn the_limit_applies_to_all_fragments_of_a_message_together() {
    let (mut link, mut socket) = raw_engine(WsConfig::default().max_message(100)).await;
    socket.write_all(&masked(0x01, &[b'x'; 60])).await.unwrap();
    socket.write_all(&masked(0x80, &[b'x'; 60])).await.unwrap();
    let peer = async {
        let (first, payload) = read_frame(&mut socket).await;
        drop(socket);
        assert_eq!((first, &payload[..2]), (0x88, &1009u16.to_be_bytes()[..]));
    };
    let (end, ()) = tokio::join!(end(&mut link), peer);
    assert!(matches!(end, LinkEnd::TooLarge { limit: 100 }), "{end:?}");
}

#[tokio::test]
async fn a_protocol_violation_is_answered_with_a_close_code_and_ends_the_link() {
    for (bytes, code) in [
        (masked(0x81, b"\xff\xfe"), 1007u16),
        (masked(0xf1, b"{}"), 1002),
        (masked(0x83, b"{}"), 1002),
        (masked(0x80, b"{}"), 1002),
        (masked(0x88, b"\x03"), 1002),
        (masked(0x09, b""), 1002),
        (vec![0x81, 2, b'{', b'}'], 1002),
    ] {
        let (mut link, mut socket) = raw_engine(WsConfig::default()).await;
        socket.write_all(&bytes).await.unwrap();
        let peer = async {
            let (first, payload) = read_frame(&mut socket).await;
            assert_eq!((first, &payload[..2]), (0x88, &code.to_be_bytes()[..]), "{bytes:x?}");
            drop(socket);
        };
        let (end, ()) = tokio::join!(end(&mut link), peer);
        assert!(matches!(end, LinkEnd::BadFrame(_)), "{end:?}");
        assert_ended(&mut link, &end).await;
    }
}

#[tokio::test]
async fn a_peer_that_violates_the_protocol_and_does_not_hang_up_does_not_delay_the_end() {
    let (mut link, mut socket) = raw_engine(short()).await;
    socket.write_all(&masked(0x83, b"")).await.unwrap();
    let end = end(&mut link).await;
    assert!(matches!(end, LinkEnd::BadFrame(_)), "{end:?}");
}

#[tokio::test]
async fn an_end_without_a_close_is_reported_as_lost() {
    for bytes in [vec![], masked(0x81, b"{}")[..3].to_vec(), masked(0x01, b"{")] {
        let (mut link, mut socket) = raw_engine(WsConfig::default()).await;
        socket.write_all(&masked(0x81, br#"{"action":"emit","id":1}"#)).await.unwrap();
        socket.write_all(&bytes).await.unwrap();
        drop(socket);
        assert_eq!(next(&mut link).await.unwrap().unwrap().id, Some(1.into()), "earlier messages are delivered");
        let end = end(&mut link).await;
        assert!(matches!(end, LinkEnd::Lost(_)), "{end:?}");
        assert_ended(&mut link, &end).await;
    }
}

#[tokio::test]
async fn a_reset_in_mid_frame_is_reported_as_lost() {
    let (mut link, mut socket) = raw_engine(WsConfig::default()).await;
    socket.write_all(&masked(0x81, &[b'x'; 100])[..50]).await.unwrap();
    socket.set_zero_linger().unwrap();
    drop(socket);
    let end = end(&mut link).await;
    assert!(matches!(end, LinkEnd::Lost(_)), "{end:?}");
}

#[tokio::test]
async fn a_write_error_does_not_lose_received_messages() {
    let (mut link, mut socket) = raw_engine(WsConfig::default()).await;
    for id in 0..5 {
        socket.write_all(&masked(0x89, b"")).await.unwrap();
        socket.write_all(&masked(0x81, format!(r#"{{"action":"emit","id":{id}}}"#).as_bytes())).await.unwrap();
    }
    drop(socket);
    // Writes succeed until the reset arrives.
    let mut ids = Vec::new();
    let text = Payload::new("x".repeat(100_000));
    let end = soon(std::future::poll_fn(|cx| {
        if let std::task::Poll::Ready(Ok(())) = link.poll_ready(cx) {
            link.send(emit(9, text.clone())).unwrap();
            cx.waker().wake_by_ref();
        }
        let wrote = link.poll_flush(cx);
        if let std::task::Poll::Ready(Err(end)) = wrote {
            return std::task::Poll::Ready(end);
        }
        // Read only after writing has failed.
        if ids.is_empty() && wrote.is_ready() {
            return std::task::Poll::Pending;
        }
        match link.poll_message(cx) {
            std::task::Poll::Ready(Err(end)) => std::task::Poll::Ready(end),
            std::task::Poll::Ready(Ok(message)) => {
                ids.push(message.unwrap().id.unwrap().number().unwrap());
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            }
            std::task::Poll::Pending => std::task::Poll::Pending,
        }
    }))
    .await;
    assert!(matches!(end, LinkEnd::Lost(_)), "{end:?}");
    assert_eq!(ids, [0, 1, 2, 3, 4]);
    assert_ended(&mut link, &end).await;
}

#[tokio::test]
async fn a_silent_peer_is_detected() {
    let (mut link, mut socket) = raw_engine(short()).await;
    let end = end(&mut link).await;
    assert!(matches!(end, LinkEnd::Silent(time) if time == Duration::from_millis(100)), "{end:?}");
    assert_eq!(read_frame(&mut socket).await, (0x89, vec![]), "a ping was sent");
    assert_ended(&mut link, &end).await;
}

#[tokio::test]
async fn a_silent_peer_is_detected_behind_a_full_buffer() {
    let (mut link, _socket) = raw_engine(short()).await;
    while !is_blocked(&mut link).await {
        link.send(emit(1, Payload::new("x".repeat(1 << 20)))).unwrap();
    }
    let end = end(&mut link).await;
    assert!(matches!(end, LinkEnd::Silent(_)), "{end:?}");
}

#[tokio::test]
async fn an_idle_peer_that_answers_pings_stays_connected() {
    let config = WsConfig::default().ping_interval(Duration::from_millis(5)).ping_timeout(Duration::from_secs(20));
    let (mut link, mut socket) = raw_engine(config).await;
    let peer = async {
        for _ in 0..20 {
            assert_eq!(read_frame(&mut socket).await, (0x89, vec![]));
            socket.write_all(&masked(0x8a, b"")).await.unwrap();
        }
        socket.write_all(&masked(0x81, br#"{"action":"emit","id":1}"#)).await.unwrap();
    };
    let (received, ()) = tokio::join!(next(&mut link), peer);
    assert_eq!(received.unwrap().unwrap().id, Some(1.into()));
}

#[tokio::test]
async fn dropping_a_link_closes_it() {
    let (plugin, mut engine) = pair(WsConfig::default(), WsConfig::default()).await;
    drop(plugin);
    let end = end(&mut engine).await;
    assert!(matches!(end, LinkEnd::Lost(_)), "{end:?}");
    let (link, mut socket) = raw_engine(WsConfig::default()).await;
    drop(link);
    assert_eq!(soon(socket.read(&mut [0; 10])).await.unwrap(), 0);
}
