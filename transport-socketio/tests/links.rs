//! Links in use: messages and bad frames.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::future::poll_fn;
use std::time::Duration;

use common::*;
use connector_core::{ClientConnector, DecodeError, LinkEnd, Payload, SendError};
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Message as Frame;
use transport_socketio::{SocketIoConnectorConfig, SocketIoServerConfig};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_arrive_in_order_in_both_directions() {
    let config = short().ping_timeout(Duration::from_secs(20));
    let (plugin, engine) = pair(config, SocketIoConnectorConfig::default()).await;
    let both = tokio::join!(tokio::spawn(exchange(plugin, 10_000, 1000)), tokio::spawn(exchange(engine, 10_000, 1000)));
    drop((both.0.unwrap(), both.1.unwrap()));
}

#[tokio::test]
async fn messages_sent_before_the_link_is_accepted_are_not_lost() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let mut ws = raw_ws(&server).await;
    send_text(&mut ws, "40").await;
    assert!(receive_text(&mut ws).await.unwrap().starts_with("40{"));
    for id in 0..1000 {
        ws.feed(Frame::text(event(id))).await.unwrap();
    }
    ws.flush().await.unwrap();
    send_text(&mut ws, "41").await;
    let mut link = soon(server.accept()).await.unwrap();
    for id in 0..1000 {
        assert_eq!(next_id(&mut link).await, id);
    }
    assert!(matches!(next(&mut link).await, Err(LinkEnd::Closed { .. })));
}

/// The protocol forbids events before the answer. socketioxide ends such a connection, so no event is lost silently.
#[tokio::test]
async fn an_event_before_the_answer_to_connect_ends_the_connection_or_arrives() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let mut ws = raw_ws(&server).await;
    for frame in ["40".to_owned(), event(0), event(1), event(2)] {
        ws.feed(Frame::text(frame)).await.unwrap();
    }
    ws.flush().await.unwrap();
    let ended = async { while receive_text(&mut ws).await.is_some() {} };
    let came = async {
        let mut link = server.accept().await.unwrap();
        for id in 0..3 {
            match next(&mut link).await {
                Ok(message) => assert_eq!(message.unwrap().id, Some(id.into())),
                Err(end) => assert!(matches!(end, LinkEnd::Closed { .. }), "{end:?}"),
            }
        }
    };
    soon(async {
        tokio::select! { () = ended => {}, () = came => {} }
    })
    .await;
}

#[tokio::test]
async fn payloads_arrive_byte_for_byte() {
    let (mut plugin, mut engine) = default_pair().await;
    let deep = "[".repeat(100) + &"]".repeat(100);
    for json in [
        r#"{"z":1,"a":2,"m":{"y":0,"b":0}}"#,
        r#"{"\u0061\n":1e400,"n":123456789012345678901234567890}"#,
        r#"[-0.0,1.0,1E5,0.1e-7,18446744073709551616]"#,
        "\"\u{2028}\u{2029}\u{7f}\u{1f600} \\ud83d\\ude00 \\u001e \\/ \\\"\"",
        r#""],[\"message\",{}]""#,
        r#"{"a":1,"a":2,"":null}"#,
        r#"{ "white" : [ 1 , 2 ] }"#,
        deep.as_str(),
        "[]",
        "null",
        r#"{"_placeholder":true,"num":0}"#,
    ] {
        let payload = Payload::from_json(json.to_owned()).unwrap();
        for back in [false, true] {
            let (from, to) = if back { (&mut plugin, &mut engine) } else { (&mut engine, &mut plugin) };
            send(from, emit(1, payload.clone())).await.unwrap();
            let came = next(to).await.unwrap().unwrap().payload.unwrap().to_json().unwrap();
            assert_eq!(std::str::from_utf8(&came).unwrap(), json);
        }
    }
}

/// The bytes of a message besides its text.
const FIELDS: usize = r#"{"action":"emit","id":1,"payload":""}"#.len();
const MOST: usize = 16 << 20;
/// `42["message",` and `]`.
const ENVELOPE: usize = 14;

async fn carry(from: &mut TestLink, to: &mut TestLink, size: usize) -> Result<(), LinkEnd> {
    let text = "x".repeat(size - FIELDS);
    let (sent, came) = soon(async { tokio::join!(send(from, emit(1, Payload::new(text.clone()))), next(to)) }).await;
    sent?;
    assert!(came?.unwrap().payload.unwrap().read::<String>().unwrap() == text);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_plugin_accepts_exactly_sixteen_mebibytes() {
    let (mut plugin, mut engine) = default_pair().await;
    carry(&mut engine, &mut plugin, MOST).await.unwrap();
    let over = emit(1, Payload::new("x".repeat(MOST + 1 - FIELDS)));
    poll_fn(|cx| engine.poll_ready(cx)).await.unwrap();
    let Err(SendError::Payload(error)) = engine.send(over) else { panic!("the message was accepted") };
    assert!(error.to_string().contains("max_message"), "{error}");
    carry(&mut engine, &mut plugin, 100).await.unwrap();
}

/// rust_engineio accepts frames of 16 MiB, including the envelope.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_engine_accepts_sixteen_mebibytes_minus_the_envelope() {
    let (mut plugin, mut engine) = default_pair().await;
    carry(&mut plugin, &mut engine, MOST - ENVELOPE).await.unwrap();
    let end = carry(&mut plugin, &mut engine, MOST - ENVELOPE + 1).await.unwrap_err();
    assert!(matches!(end, LinkEnd::TooLarge { limit: MOST }), "{end:?}");
    drop(engine);
    let end = common::end(&mut plugin).await;
    assert!(matches!(end, LinkEnd::Lost(_)), "{end:?}");
    let (mut plugin, _engine) = default_pair().await;
    poll_fn(|cx| plugin.poll_ready(cx)).await.unwrap();
    let over = emit(1, Payload::new("x".repeat(MOST + 1 - FIELDS)));
    assert!(matches!(plugin.send(over), Err(SendError::Payload(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixteen_mebibytes_pass_and_a_larger_message_ends_the_link() {
    let (mut link, mut ws) = raw_engine(SocketIoServerConfig::default()).await;
    let (sent, came) =
        tokio::join!(send(&mut link, emit(1, Payload::new("x".repeat(MOST - FIELDS)))), receive_text(&mut ws));
    sent.unwrap();
    assert_eq!(came.unwrap().len(), MOST + ENVELOPE);
    let _ = ws.send(Frame::text("4".repeat(MOST + 1025))).await;
    let end = end(&mut link).await;
    assert!(matches!(&end, LinkEnd::Lost(error) if error.to_string().contains("exceeded the limit")), "{end:?}");
    assert_ended(&mut link, &end).await;
}

#[tokio::test]
async fn an_unsendable_message_leaves_the_link_open() {
    let (mut plugin, mut engine) =
        pair(SocketIoServerConfig::default().max_message(1000), SocketIoConnectorConfig::default().max_message(1000))
            .await;
    let no_json = std::collections::BTreeMap::from([((1, 2), 3)]);
    for back in [false, true] {
        let (from, to) = if back { (&mut plugin, &mut engine) } else { (&mut engine, &mut plugin) };
        poll_fn(|cx| from.poll_ready(cx)).await.unwrap();
        assert!(matches!(from.send(emit(1, Payload::new(no_json.clone()))), Err(SendError::Payload(_))));
        assert!(matches!(from.send(emit(2, Payload::new("x".repeat(1000)))), Err(SendError::Payload(_))));
        send(from, emit(3, Payload::null())).await.unwrap();
        assert_eq!(next_id(to).await, 3);
    }
}

/// Receives that many invalid messages, then one with attachments and one of another name.
async fn assert_invalid(link: &mut TestLink, messages: usize) {
    for _ in 0..messages {
        let error = next(link).await.unwrap().unwrap_err();
        assert!(matches!(error, DecodeError::NotAMessage(_) | DecodeError::NotJson(_)), "{error:?}");
    }
    assert!(matches!(next(link).await.unwrap(), Err(DecodeError::WrongFrame("binary attachments"))));
    let error = next(link).await.unwrap().unwrap_err();
    assert!(error.to_string().contains("an unknown name"), "{error:?}");
}

#[tokio::test]
async fn invalid_messages_are_errors_in_their_position_at_the_plugin() {
    let (mut link, mut ws) = raw_engine(SocketIoServerConfig::default()).await;
    for text in
        [r#"42["message"]"#, r#"42["message",1]"#, r#"42["message",{}]"#, r#"42["message",{"action":"emit"},2]"#]
    {
        send_text(&mut ws, text).await;
    }
    send_text(&mut ws, r#"451-["message",{"_placeholder":true,"num":0}]"#).await;
    ws.send(Frame::binary(b"1\x1e\xff".to_vec())).await.unwrap();
    // Another event, an event of another namespace, and an unsolicited acknowledgement.
    for text in [r#"42["other",{"action":"emit"}]"#, r#"42/x,["message",{"action":"emit"}]"#, "4317[]"] {
        send_text(&mut ws, text).await;
    }
    send_text(&mut ws, r#"4217["message",{"action":"emit","id":5}]"#).await;
    assert_invalid(&mut link, 4).await;
    assert_eq!(next_id(&mut link).await, 5);
}

#[tokio::test]
async fn invalid_messages_are_errors_in_their_position_at_the_engine() {
    let (mut link, mut ws) = raw_plugin(Duration::from_secs(60)).await;
    for text in [r#"42["message"]"#, "42", "42nonsense", r#"42["message",{]"#, r#"42["message",{"action":"emit"},2]"#] {
        send_text(&mut ws, text).await;
    }
    send_text(&mut ws, r#"452-["message",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#).await;
    // Parsed as a packet, this would leave the namespace.
    ws.send(Frame::binary(b"1".to_vec())).await.unwrap();
    ws.send(Frame::binary(br#"2["message",{"action":"emit","id":4}]"#.to_vec())).await.unwrap();
    for text in [r#"42["other",{"action":"emit"}]"#, r#"42/x,["message",{"action":"emit"}]"#, "4317[]", "6"] {
        send_text(&mut ws, text).await;
    }
    send_text(&mut ws, r#"4217["message",{"action":"emit","id":5}]"#).await;
    assert_invalid(&mut link, 5).await;
    assert_eq!(next_id(&mut link).await, 5);
}
