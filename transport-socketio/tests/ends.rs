//! How links end.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::future::poll_fn;
use std::time::{Duration, Instant};

use common::*;
use connector_core::{LinkEnd, Payload};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message as Frame;

const SHORT: Duration = Duration::from_millis(200);
/// Well below the default time for detecting a silent peer, and long enough for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn disconnect_flushes_and_then_closes_gracefully() {
    for back in [false, true] {
        let (plugin, engine) = default_pair().await;
        let (mut leaving, mut staying) = if back { (plugin, engine) } else { (engine, plugin) };
        let started = Instant::now();
        for id in 0..500 {
            soon(poll_fn(|cx| leaving.poll_ready(cx))).await.unwrap();
            leaving.send(emit(id, Payload::new("x".repeat(1000)))).unwrap();
        }
        let last = async {
            for id in 0..500 {
                assert_eq!(next_id(&mut staying).await, id);
            }
            end(&mut staying).await
        };
        let ((), end) = tokio::join!(disconnect(&mut leaving), last);
        assert!(matches!(&end, LinkEnd::Closed { reason, .. } if reason.contains("left the namespace")), "{end:?}");
        assert!(started.elapsed() < AT_ONCE);
        assert_ended(&mut staying, &end).await;
        assert_ended(&mut leaving, &LinkEnd::Disconnected).await;
    }
}

#[tokio::test]
async fn both_ends_may_disconnect_at_once() {
    let (mut plugin, mut engine) = default_pair().await;
    tokio::join!(disconnect(&mut plugin), disconnect(&mut engine));
    assert_ended(&mut plugin, &LinkEnd::Disconnected).await;
    assert_ended(&mut engine, &LinkEnd::Disconnected).await;
}

#[tokio::test]
async fn dropping_a_link_closes_it_at_once() {
    for back in [false, true] {
        let (plugin, engine) = default_pair().await;
        let (dropped, mut staying) = if back { (plugin, engine) } else { (engine, plugin) };
        let started = Instant::now();
        drop(dropped);
        let end = end(&mut staying).await;
        assert!(matches!(end, LinkEnd::Closed { .. } | LinkEnd::Lost(_)), "{end:?}");
        assert!(started.elapsed() < AT_ONCE);
    }
}

/// The ways in which a peer may close.
#[tokio::test]
async fn each_kind_of_close_is_reported_after_earlier_messages() {
    for back in [false, true] {
        for (close, reason) in [
            (Frame::text("41"), "left the namespace"),
            (Frame::text("1"), "closed the connection"),
            (Frame::Close(None), "closed the connection"),
        ] {
            let (mut link, mut ws) = raw(back).await;
            send_text(&mut ws, event(1)).await;
            ws.send(close).await.unwrap();
            // As the protocol requires, the closing end waits for the answer and then hangs up.
            let answered = tokio::spawn(async move { while let Some(Ok(_)) = ws.next().await {} });
            assert_eq!(next_id(&mut link).await, 1);
            let end = end(&mut link).await;
            assert!(matches!(&end, LinkEnd::Closed { reason: r, .. } if r.contains(reason)), "{end:?}");
            assert_ended(&mut link, &end).await;
            drop(link);
            soon(answered).await.unwrap();
        }
    }
}

#[tokio::test]
async fn an_end_without_a_close_is_reported_as_lost_at_once() {
    for back in [false, true] {
        for (reset, bytes) in [(false, &[][..]), (false, &[0x81]), (true, &[]), (true, &[0x81])] {
            let (mut link, mut ws) = raw(back).await;
            send_text(&mut ws, event(1)).await;
            // A reset discards unread data.
            assert_eq!(next_id(&mut link).await, 1, "earlier messages are delivered");
            let started = Instant::now();
            ws.get_mut().write_all(bytes).await.unwrap();
            if reset {
                ws.get_ref().set_zero_linger().unwrap();
            }
            drop(ws);
            let end = end(&mut link).await;
            assert!(matches!(end, LinkEnd::Lost(_)), "{end:?}");
            assert!(started.elapsed() < AT_ONCE);
            assert_ended(&mut link, &end).await;
        }
    }
}

#[tokio::test]
async fn a_write_error_does_not_lose_received_messages() {
    for back in [false, true] {
        let (mut link, mut ws) = raw(back).await;
        for id in 0..5 {
            send_text(&mut ws, event(id)).await;
        }
        send_text(&mut ws, "41").await;
        drop(ws);
        let text = Payload::new("x".repeat(100_000));
        let writing = async {
            while poll_fn(|cx| link.poll_ready(cx)).await.is_ok() && link.send(emit(9, text.clone())).is_ok() {
                let _ = poll_fn(|cx| link.poll_flush(cx)).await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        // Long enough for the reset to arrive. The link does not end before everything is read.
        let _ = tokio::time::timeout(Duration::from_millis(100), writing).await;
        for id in 0..5 {
            assert_eq!(next_id(&mut link).await, id);
        }
        let end = end(&mut link).await;
        assert!(matches!(end, LinkEnd::Closed { .. } | LinkEnd::Lost(_)), "{end:?}");
        assert_ended(&mut link, &end).await;
    }
}

/// With nothing sent, and with more than all buffers hold.
#[tokio::test]
async fn a_silent_engine_is_detected() {
    for full in [false, true] {
        let (mut link, ws) = raw_engine(short()).await;
        let started = Instant::now();
        while full && soon(poll_fn(|cx| link.poll_ready(cx))).await.is_ok() {
            link.send(emit(1, Payload::new("x".repeat(100_000)))).unwrap();
        }
        let end = end(&mut link).await;
        assert!(matches!(end, LinkEnd::Silent(SHORT)), "{full} {end:?}");
        assert!(started.elapsed() < AT_ONCE, "{full} {:?}", started.elapsed());
        assert_ended(&mut link, &end).await;
        drop(ws);
    }
}

#[tokio::test]
async fn a_silent_plugin_is_detected() {
    for full in [false, true] {
        let (mut link, mut ws) = raw_plugin(Duration::from_millis(400)).await;
        if full {
            fill(&mut link, &Payload::new("x".repeat(100_000))).await;
            // This ping cannot be answered.
            send_text(&mut ws, "2").await;
        }
        let started = Instant::now();
        let end = end(&mut link).await;
        assert!(matches!(end, LinkEnd::Silent(time) if time == Duration::from_millis(400)), "{end:?}");
        assert!(started.elapsed() < AT_ONCE);
        assert_ended(&mut link, &end).await;
    }
}

#[tokio::test]
async fn a_plugin_that_only_pings_is_not_silent() {
    let (mut link, mut ws) = raw_plugin(Duration::from_millis(400)).await;
    let plugin = async {
        for _ in 0..20 {
            send_text(&mut ws, "2").await;
            assert_eq!(receive_text(&mut ws).await.unwrap(), "3");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        send_text(&mut ws, event(1)).await;
    };
    let (id, ()) = tokio::join!(next_id(&mut link), plugin);
    assert_eq!(id, 1);
}

async fn disconnect_from_unresponsive_peer(back: bool, full: bool) {
    let (mut link, mut ws) = raw(back).await;
    if full {
        fill(&mut link, &Payload::new("x".repeat(100_000))).await;
    }
    let started = Instant::now();
    disconnect(&mut link).await;
    assert_ended(&mut link, &LinkEnd::Disconnected).await;
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    drop(link);
    // The connection is closed even if the peer never closes it.
    soon(async { while let Some(Ok(_)) = ws.next().await {} }).await;
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
}

#[tokio::test]
async fn disconnect_is_bounded_and_closes_the_connection_of_an_unresponsive_peer() {
    let one = disconnect_from_unresponsive_peer;
    tokio::join!(one(false, false), one(false, true), one(true, false), one(true, true));
}

#[tokio::test]
async fn a_peer_that_floods_the_link_does_not_delay_disconnect() {
    for back in [false, true] {
        let (mut link, mut ws) = raw(back).await;
        let talking = tokio::spawn(async move { while ws.send(Frame::text(event(1))).await.is_ok() {} });
        assert_eq!(next_id(&mut link).await, 1);
        disconnect(&mut link).await;
        assert_ended(&mut link, &LinkEnd::Disconnected).await;
        drop(link);
        soon(talking).await.unwrap();
    }
}
