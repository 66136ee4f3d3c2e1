//! Back-pressure: peers that do not read.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::future::poll_fn;
use std::time::Duration;

use common::*;
use connector_core::{LinkEnd, Payload};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message as Frame;
use transport_socketio::SocketIoServerConfig;

/// A peer that reads nothing at first. Pings in between find capacity.
#[tokio::test]
async fn an_engine_that_does_not_read_causes_back_pressure_without_loss() {
    for size in [1000, 70_000] {
        let (mut link, mut ws) = raw_engine(short().ping_timeout(Duration::from_secs(20))).await;
        let payload = Payload::new("x".repeat(size));
        // Includes a few megabytes that the kernel buffers.
        let mut sent = 0;
        while let Ok(ready) = tokio::time::timeout(Duration::from_millis(300), poll_fn(|cx| link.poll_ready(cx))).await
        {
            ready.unwrap();
            link.send(emit(sent, payload.clone())).unwrap();
            sent += 1;
            assert!(sent < 20_000_000 / size as i64, "buffering is unbounded");
        }
        send_text(&mut ws, event(7)).await;
        assert_eq!(next_id(&mut link).await, 7, "the link still receives");
        let reading = async {
            let mut seen = 0;
            while seen <= sent {
                match ws.next().await.expect("the websocket was closed").unwrap() {
                    Frame::Text(text) if text.as_str() == "2" => ws.send(Frame::text("3")).await.unwrap(),
                    Frame::Text(text) => {
                        assert!(text.as_str()[..40].contains(&format!(r#""id":{seen},"#)), "{}", &text.as_str()[..40]);
                        seen += 1;
                    }
                    other => panic!("{other:?}"),
                }
            }
        };
        let (last, ()) = soon(async { tokio::join!(send(&mut link, emit(sent, payload.clone())), reading) }).await;
        last.unwrap();
    }
}

/// The buffer stays nearly full for many pings, each of which must find capacity.
#[tokio::test]
async fn a_slow_but_steady_reader_stays_connected() {
    let config = SocketIoServerConfig::default().ping_interval(Duration::from_millis(10));
    let (mut link, mut ws) = raw_engine(config.ping_timeout(Duration::from_secs(20))).await;
    let payload = Payload::new("x".repeat(20_000));
    let count = 1000;
    let sending = async {
        for id in 0..count {
            poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
            link.send(emit(id, payload.clone())).unwrap();
        }
        poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
    };
    let reading = async {
        let (mut seen, mut pings) = (0, 0);
        while seen < count {
            match ws.next().await.expect("the websocket was closed").unwrap() {
                Frame::Text(text) if text.as_str() == "2" => {
                    pings += 1;
                    ws.send(Frame::text("3")).await.unwrap();
                }
                _ => seen += 1,
            }
            if seen % 2 == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        pings
    };
    let ((), pings) = soon(async { tokio::join!(sending, reading) }).await;
    assert!(pings > 2, "{pings}");
}

#[tokio::test]
async fn a_plugin_that_does_not_read_causes_back_pressure_without_loss() {
    let (mut link, mut ws) = raw_plugin(Duration::from_secs(60)).await;
    let payload = Payload::new("x".repeat(70_000));
    let sent = fill(&mut link, &payload).await;
    send_text(&mut ws, event(7)).await;
    assert_eq!(next_id(&mut link).await, 7, "the link still receives");
    let reading = async {
        for id in 0..=sent {
            assert!(receive_text(&mut ws).await.unwrap()[..40].contains(&format!(r#""id":{id},"#)));
        }
    };
    let (last, ()) = soon(async { tokio::join!(send(&mut link, emit(sent, payload.clone())), reading) }).await;
    last.unwrap();
}

/// socketioxide has no back-pressure for reading, so a limit ends the link.
#[tokio::test]
async fn unread_messages_are_bounded() {
    for (size, count) in [(0, 17_000), (100_000, 200)] {
        let (mut link, mut ws) = raw_engine(SocketIoServerConfig::default()).await;
        let text = format!(r#"42["message",{{"action":"emit","payload":"{}"}}]"#, "x".repeat(size));
        let flood = async {
            for _ in 0..count {
                if ws.send(Frame::text(text.clone())).await.is_err() {
                    return;
                }
            }
            while receive_text(&mut ws).await.is_some_and(|text| text != "41") {}
        };
        soon(flood).await;
        let mut received = 0;
        let end = loop {
            match next(&mut link).await {
                Ok(message) => drop(message.unwrap()),
                Err(end) => break end,
            }
            received += 1;
        };
        assert!(matches!(&end, LinkEnd::Lost(error) if error.to_string().contains("are unread")), "{end:?}");
        assert!(received > count * 3 / 4, "messages within the limit are delivered: {received}");
        assert_ended(&mut link, &end).await;
    }
}
