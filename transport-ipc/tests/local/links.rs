//! The contract of a link over a local socket.

use crate::support::*;

#[tokio::test]
async fn messages_go_both_ways_in_order() {
    let (mut a, mut b) = pair(IpcConfig::default()).await;
    for id in 0..100 {
        send(&mut a, emit(id, Payload::new("from a"))).await.unwrap();
        send(&mut b, emit(-id, Payload::new("from b"))).await.unwrap();
    }
    for id in 0..100 {
        assert_eq!((next_id(&mut b).await, next_id(&mut a).await), (id, -id));
    }
}

#[tokio::test]
async fn a_large_message_arrives_whole() {
    let (mut a, mut b) = pair(IpcConfig::default()).await;
    let text = "ä".repeat(1 << 19);
    let (sent, got) = tokio::join!(send(&mut a, emit(1, Payload::new(text.clone()))), next(&mut b));
    sent.unwrap();
    assert_eq!(got.unwrap().unwrap().payload.unwrap().read::<String>().unwrap(), text);
}

#[tokio::test]
async fn a_line_over_the_limit_ends_the_link() {
    let (mut link, mut raw) = raw_pair(IpcConfig::default().max_message(1000)).await;
    raw.write_all(b"{\"action\":\"on\"}\n").await.unwrap();
    raw.write_all(&[b'x'; 1001]).await.unwrap();
    assert_eq!(next(&mut link).await.unwrap().unwrap().action, Action::On);
    let end = next(&mut link).await.unwrap_err();
    assert!(matches!(end, LinkEnd::TooLarge { limit: 1000 }), "{end:?}");
    assert_ended(&mut link, &end).await;
}

#[tokio::test]
async fn a_message_over_the_limit_is_an_error_for_its_sender_only() {
    let (mut a, mut b) = pair(IpcConfig::default().max_message(1000)).await;
    soon(poll_fn(|cx| a.poll_ready(cx))).await.unwrap();
    let sent = a.send(emit(1, Payload::new("x".repeat(1000))));
    assert!(matches!(sent, Err(SendError::Payload(_))), "{sent:?}");
    send(&mut a, emit(2, Payload::null())).await.unwrap();
    assert_eq!(next_id(&mut b).await, 2);
}

#[tokio::test]
async fn lines_that_are_not_json_are_skipped() {
    let (mut link, mut raw) = raw_pair(IpcConfig::default()).await;
    raw.write_all(b"hello\n\xff\xfe\0\n5\n{\"action\":\"on\"}\n").await.unwrap();
    for _ in 0..3 {
        next(&mut link).await.unwrap().unwrap_err();
    }
    assert_eq!(next(&mut link).await.unwrap().unwrap().action, Action::On);
    send(&mut link, emit(1, Payload::null())).await.unwrap();
    assert_eq!(soon(raw.read_u8()).await.unwrap(), b'{');
}

#[tokio::test]
async fn a_closed_or_dropped_peer_ends_the_link() {
    for graceful in [true, false] {
        for dialler_leaves in [true, false] {
            let (served, dialled) = pair(IpcConfig::default()).await;
            let (mut going, mut staying) = if dialler_leaves { (dialled, served) } else { (served, dialled) };
            send(&mut going, emit(1, Payload::null())).await.unwrap();
            // After a graceful close the other end sees the end even though this link is not dropped yet.
            let _gone = match graceful {
                true => {
                    going.send(emit(2, Payload::null())).unwrap();
                    disconnect(&mut going).await;
                    Some(going)
                }
                false => {
                    drop(going);
                    None
                }
            };
            assert_eq!(next_id(&mut staying).await, 1, "received messages come first");
            if graceful {
                assert_eq!(next_id(&mut staying).await, 2, "accepted messages are flushed");
            }
            let end = next(&mut staying).await.unwrap_err();
            assert!(matches!(end, LinkEnd::Closed { .. }), "{end:?}");
            assert_ended(&mut staying, &end).await;
        }
    }
}

#[tokio::test]
async fn a_peer_dropped_with_unread_input_ends_the_link() {
    let (mut link, raw) = raw_pair(IpcConfig::default()).await;
    send(&mut link, emit(1, Payload::null())).await.unwrap();
    drop(raw);
    let end = next(&mut link).await.unwrap_err();
    assert!(matches!(end, LinkEnd::Closed { .. } | LinkEnd::Lost(_)), "{end:?}");
    assert_ended(&mut link, &end).await;
}

#[tokio::test]
async fn a_peer_dropped_within_a_line_ends_the_link() {
    let (mut link, mut raw) = raw_pair(IpcConfig::default()).await;
    raw.write_all(b"{\"action\":\"on\"}\n{\"act").await.unwrap();
    drop(raw);
    assert_eq!(next(&mut link).await.unwrap().unwrap().action, Action::On);
    next(&mut link).await.unwrap().unwrap_err();
    let end = next(&mut link).await.unwrap_err();
    assert_ended(&mut link, &end).await;
}

#[tokio::test]
async fn closing_is_bounded_when_the_other_end_does_not_read() {
    let (mut link, _raw) = raw_pair(IpcConfig::default().close_timeout(Duration::from_millis(50))).await;
    fill_link(&mut link).await;
    disconnect(&mut link).await;
}

#[tokio::test]
async fn full_pipes_both_ways_do_not_deadlock() {
    const MESSAGES: i64 = 200;
    /// Sends and receives at once, as a session does.
    async fn talk(link: &mut TestLink, mut sent: i64) {
        let mut got = 0;
        poll_fn(|cx| {
            while sent < MESSAGES && link.poll_ready(cx).map(Result::unwrap).is_ready() {
                link.send(emit(sent, Payload::new("x".repeat(64 << 10)))).unwrap();
                sent += 1;
            }
            let flushed = link.poll_flush(cx).map(Result::unwrap).is_ready();
            while got < MESSAGES {
                let Poll::Ready(message) = link.poll_message(cx) else { return Poll::Pending };
                assert_eq!(message.unwrap().unwrap().id, Some(got.into()));
                got += 1;
            }
            if sent == MESSAGES && flushed { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
    let (mut a, mut b) = pair(IpcConfig::default()).await;
    // Both are full, and neither end has read yet.
    let sent = (fill_link(&mut a).await, fill_link(&mut b).await);
    assert!(sent.0 < MESSAGES && sent.1 < MESSAGES, "{sent:?}");
    soon(async { tokio::join!(talk(&mut a, sent.0), talk(&mut b, sent.1)) }).await;
}

/// Unread input of the closing end does not turn its close into a reset.
#[tokio::test]
async fn a_close_with_unread_input_is_graceful() {
    for dialler_leaves in [false, true] {
        let (served, dialled) = pair(IpcConfig::default()).await;
        let (mut leaving, mut staying) = if dialler_leaves { (dialled, served) } else { (served, dialled) };
        for id in 0..5 {
            send(&mut staying, emit(id, Payload::new("unread"))).await.unwrap();
        }
        soon(poll_fn(|cx| leaving.poll_ready(cx))).await.unwrap();
        leaving.send(emit(7, Payload::new("x".repeat(3 << 20)))).unwrap();
        let leave = async {
            disconnect(&mut leaving).await;
            drop(leaving);
        };
        let stay = async {
            assert_eq!(next_id(&mut staying).await, 7);
            let end = next(&mut staying).await.unwrap_err();
            drop(staying);
            end
        };
        let ((), end) = tokio::join!(leave, stay);
        assert!(matches!(end, LinkEnd::Closed { .. }), "{end:?}");
    }
}
