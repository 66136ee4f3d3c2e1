//! Engines that use long polling, as web pages do before they upgrade.
#![cfg(feature = "client")]
#![cfg(feature = "plugin")]

mod common;

use std::future::poll_fn;
use std::time::Duration;

use common::http::Polling;
use common::*;
use connector_core::{ClientConnector, LinkEnd, Payload};
use transport_socketio::{SocketIoServer, SocketIoServerConfig};

async fn polling(config: SocketIoServerConfig) -> (SocketIoServer, TestLink, Polling) {
    let mut server = server(config).await;
    let polling = Polling::connect(server.local_addr()).await;
    let link = admitted(soon(server.accept()).await.unwrap());
    (server, link, polling)
}

fn id_of(packet: &str) -> Option<i64> {
    let (_, id) = packet.split_once(r#""id":"#)?;
    id.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[tokio::test]
async fn messages_arrive_in_order_in_both_directions() {
    let (_server, mut link, polling) = polling(SocketIoServerConfig::default()).await;
    let posting = async {
        for start in (0..1000).step_by(100) {
            let body: Vec<String> = (start..start + 100).map(event).collect();
            assert_eq!(polling.post(&body.join("\u{1e}")).await.body, "ok");
        }
    };
    let getting = async {
        let mut ids = Vec::new();
        while ids.len() < 1000 {
            ids.extend(polling.packets().await.iter().filter_map(|packet| id_of(packet)));
        }
        assert_eq!(ids, (0..1000).collect::<Vec<i64>>());
    };
    let owner = async {
        for id in 0..1000 {
            poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
            link.send(emit(id, Payload::new("ü\u{2028}".repeat(10)))).unwrap();
        }
        poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
        for id in 0..1000 {
            assert_eq!(next_id(&mut link).await, id);
        }
    };
    soon(async { tokio::join!(posting, getting, owner) }).await;
}

#[tokio::test]
async fn messages_of_one_mebibyte_pass_in_both_directions() {
    let (_server, mut link, polling) = polling(SocketIoServerConfig::default()).await;
    let text = "x".repeat(1 << 20);
    send(&mut link, emit(1, Payload::new((text.clone(),)))).await.unwrap();
    let packets = polling.packets().await;
    assert!(packets.len() == 1 && packets[0].contains(&text));
    let body = format!(r#"42["message",{{"action":"emit","payload":["{text}"]}}]"#);
    assert_eq!(polling.post(&body).await.body, "ok");
    let received = next(&mut link).await.unwrap().unwrap().payload.unwrap();
    assert!(received.read::<(String,)>().unwrap().0 == text);
}

#[tokio::test]
async fn a_request_over_the_limit_is_rejected_with_413() {
    let (_server, mut link, polling) = polling(SocketIoServerConfig::default().max_polling_body(10_000)).await;
    assert_eq!(polling.post(&event(1)).await.status, 200);
    let answer = polling.post(&format!("42[\"message\",\"{}\"]", "x".repeat(20_000))).await;
    assert_eq!(answer.status, 413, "{}", answer.body);
    assert_eq!(next_id(&mut link).await, 1);
    let end = end(&mut link).await;
    assert!(matches!(end, LinkEnd::BadFrame(_)), "{end:?}");
    assert_ended(&mut link, &end).await;
}

#[tokio::test]
async fn an_engine_that_does_not_poll_causes_back_pressure_without_loss() {
    let config = SocketIoServerConfig::default().ping_interval(Duration::from_millis(50));
    let (_server, mut link, polling) = polling(config.ping_timeout(Duration::from_secs(20))).await;
    let sent = fill(&mut link, &Payload::new("x".repeat(1000))).await;
    assert!(sent <= 130, "{sent}");
    let getting = async {
        let mut ids = Vec::new();
        while ids.len() as i64 <= sent {
            ids.extend(polling.packets().await.iter().filter_map(|packet| id_of(packet)));
        }
        assert_eq!(ids, (0..=sent).collect::<Vec<i64>>());
    };
    let (last, ()) = tokio::join!(send(&mut link, emit(sent, Payload::null())), getting);
    last.unwrap();
}

#[tokio::test]
async fn either_end_may_disconnect() {
    let (_server, mut link, polling) = polling(SocketIoServerConfig::default()).await;
    polling.post(&format!("{}\u{1e}41", event(1))).await;
    assert_eq!(next_id(&mut link).await, 1);
    assert!(matches!(end(&mut link).await, LinkEnd::Closed { .. }));

    let (_server, mut link, polling) = self::polling(SocketIoServerConfig::default()).await;
    polling.post("1").await;
    assert!(matches!(end(&mut link).await, LinkEnd::Closed { .. }));

    let (_server, mut link, polling) = self::polling(SocketIoServerConfig::default()).await;
    send(&mut link, emit(1, Payload::null())).await.unwrap();
    let getting = async {
        let mut packets = polling.packets().await;
        while packets.len() < 2 {
            packets.extend(polling.packets().await);
        }
        packets
    };
    let ((), packets) = tokio::join!(disconnect(&mut link), getting);
    assert_eq!((id_of(&packets[0]), packets[1].as_str()), (Some(1), "41"));
    assert_ended(&mut link, &LinkEnd::Disconnected).await;
}

#[tokio::test]
async fn protocol_violations_and_silence_end_the_link() {
    let (_server, mut link, polling) = polling(SocketIoServerConfig::default()).await;
    // The first ping may answer one of the polls, and then the other waits.
    let both = || async { tokio::join!(polling.poll(), polling.poll()) };
    soon(async {
        loop {
            match tokio::time::timeout(Duration::from_millis(300), both()).await {
                Ok((one, two)) if one.status.max(two.status) == 400 => break,
                _ => polling.post("3").await,
            };
        }
    })
    .await;
    let ended = end(&mut link).await;
    assert!(matches!(ended, LinkEnd::BadFrame(_)), "{ended:?}");

    let (_server, mut link, _polling) = self::polling(short()).await;
    let end = end(&mut link).await;
    assert!(matches!(end, LinkEnd::Silent(time) if time == Duration::from_millis(200)), "{end:?}");

    let (server, _link, polling) = self::polling(SocketIoServerConfig::default()).await;
    drop(server);
    soon(async { while tokio::net::TcpStream::connect(polling.to).await.is_ok() {} }).await;
}

/// Small messages, and messages of which several do not fit into one response. None may be lost in the upgrade.
#[tokio::test]
async fn an_upgrade_keeps_all_messages_in_order() {
    for size in [10, 60_000, 700_000] {
        let (_server, mut link, polling) = polling(SocketIoServerConfig::default()).await;
        let count = 60;
        let owner = async {
            for id in 0..count {
                poll_fn(|cx| link.poll_ready(cx)).await.unwrap();
                link.send(emit(id, Payload::new("x".repeat(size)))).unwrap();
            }
            poll_fn(|cx| link.poll_flush(cx)).await.unwrap();
            for id in 0..20 {
                assert_eq!(next_id(&mut link).await, id);
            }
            // Keeps the link open until the engine has read everything.
            link
        };
        let engine = async {
            let mut ids = Vec::new();
            for id in 0..10 {
                polling.post(&event(id)).await;
            }
            ids.extend(polling.packets().await.iter().filter_map(|packet| id_of(packet)));
            let mut ws = polling.upgrade().await;
            send_text(&mut ws, "2probe").await;
            // The last poll is answered by a NOOP packet.
            let (probed, last) = tokio::join!(receive_text(&mut ws), polling.packets());
            assert_eq!(probed.unwrap(), "3probe");
            ids.extend(last.iter().filter_map(|packet| id_of(packet)));
            send_text(&mut ws, "5").await;
            for id in 10..20 {
                send_text(&mut ws, event(id)).await;
            }
            while (ids.len() as i64) < count {
                ids.extend(id_of(&receive_text(&mut ws).await.expect("the websocket was closed")));
            }
            assert_eq!(ids, (0..count).collect::<Vec<i64>>());
        };
        drop(soon(async { tokio::join!(owner, engine) }).await);
    }
}
