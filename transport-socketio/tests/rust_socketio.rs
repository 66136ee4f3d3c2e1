//! Limitations of rust_socketio's client, because of which the engine's end uses only its engine.io layer.
#![cfg(all(feature = "client", feature = "plugin"))]

mod common;

use std::time::Duration;

use common::*;
use connector_core::{ClientConnector, Payload};
use futures_util::{FutureExt, SinkExt};
use rust_socketio::asynchronous::{Client, ClientBuilder};
use rust_socketio::{Event, TransportType};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message as Frame;
use transport_socketio::SocketIoServerConfig;

type Events = mpsc::UnboundedReceiver<(String, serde_json::Value)>;

/// A client and the events that it reports.
async fn client(url: &str) -> (Client, Events) {
    let (sender, events) = mpsc::unbounded_channel();
    let mut builder = ClientBuilder::new(url).transport_type(TransportType::Websocket).reconnect(false);
    for event in [Event::Connect, Event::Close, Event::Error, Event::Message] {
        let (sender, name) = (sender.clone(), event.to_string());
        builder = builder.on(event, move |payload, _| {
            let value = match payload {
                rust_socketio::Payload::Text(mut values) => values.pop().unwrap_or_default(),
                _ => serde_json::Value::Null,
            };
            let _ = sender.send((name.clone(), value));
            async {}.boxed()
        });
    }
    (soon(builder.connect()).await.unwrap(), events)
}

async fn next_event(events: &mut Events) -> (String, serde_json::Value) {
    soon(events.recv()).await.unwrap()
}

/// A client of this crate's server, and the plugin's end of its link.
async fn connected() -> (Client, Events, TestLink) {
    let mut server = server(SocketIoServerConfig::default()).await;
    let (client, mut events) = client(&server.url()).await;
    let link = soon(server.accept()).await.unwrap();
    assert_eq!(next_event(&mut events).await.0, Event::Connect.to_string());
    (client, events, link)
}

#[tokio::test]
async fn it_works_with_this_crates_server() {
    let (client, mut events, mut link) = connected().await;
    client.emit("message", serde_json::json!({ "action": "emit", "id": 5 })).await.unwrap();
    assert_eq!(next_id(&mut link).await, 5);
    send(&mut link, emit(6, Payload::new(1))).await.unwrap();
    let (name, value) = next_event(&mut events).await;
    assert_eq!((name.as_str(), &value["id"]), ("message", &serde_json::json!(6)));
    client.disconnect().await.unwrap();
}

/// It changes payloads, whereas this crate's link returns the bytes as sent.
#[tokio::test]
async fn it_rounds_large_numbers_and_drops_messages_with_larger_ones() {
    let (_client, mut events, mut link) = connected().await;
    let json = "[123456789012345678901234567890]";
    send(&mut link, emit(1, Payload::from_json(json).unwrap())).await.unwrap();
    let (_, value) = next_event(&mut events).await;
    assert_eq!(value["payload"].to_string(), "[1.2345678901234568e+29]");
    // A number out of range loses the message.
    send(&mut link, emit(2, Payload::from_json("[1e400]").unwrap())).await.unwrap();
    send(&mut link, emit(3, Payload::null())).await.unwrap();
    loop {
        let (name, value) = next_event(&mut events).await;
        assert!(name != "message" || value["id"] != 2, "{value}");
        if value["id"] == 3 {
            break;
        }
    }
}

/// The caller would not learn that the connection has ended.
#[tokio::test]
async fn it_does_not_report_a_gracefully_closed_websocket() {
    let (listener, url) = listener().await;
    let plugin = accept_engine(&listener, Duration::from_secs(60));
    let ((_client, mut events), mut ws) = tokio::join!(client(&url), plugin);
    assert_eq!(next_event(&mut events).await.0, Event::Connect.to_string());
    let _ = ws.send(Frame::Close(None)).await;
    while receive_text(&mut ws).await.is_some() {}
    drop(ws);
    let event = tokio::time::timeout(Duration::from_millis(300), events.recv()).await;
    // Either no event arrives, or its task ends with its callbacks. It never reports the close.
    assert!(matches!(event, Err(_) | Ok(None)), "{event:?}");
}

/// `connect()` returns before the namespace has answered, and does not hold back events sent then.
#[tokio::test]
async fn it_sends_before_the_namespace_has_accepted_it() {
    let (listener, url) = listener().await;
    let plugin = async {
        let mut ws = accept_connect(&listener, Duration::from_secs(60)).await;
        // No answer.
        receive_text(&mut ws).await.unwrap()
    };
    let engine = async {
        let (client, events) = client(&url).await;
        client.emit("message", serde_json::json!({ "action": "emit" })).await.unwrap();
        (client, events)
    };
    let (early, (_client, mut events)) = soon(async { tokio::join!(plugin, engine) }).await;
    assert_eq!(early, r#"42["message",{"action":"emit"}]"#);
    assert!(events.try_recv().is_err());
}

/// Its engine.io layer parses binary frames as packets with separators, below this crate's code.
#[tokio::test]
async fn an_attachment_that_contains_a_separator_ends_this_crates_link_too() {
    let (mut link, mut ws) = raw_plugin(Duration::from_secs(60)).await;
    send_text(&mut ws, r#"451-["message",{"_placeholder":true,"num":0}]"#).await;
    ws.send(Frame::binary(b"a\x1e\xff".to_vec())).await.unwrap();
    assert!(next(&mut link).await.unwrap().is_err());
    let end = end(&mut link).await;
    assert!(matches!(end, connector_core::LinkEnd::BadFrame(_)), "{end:?}");
}
