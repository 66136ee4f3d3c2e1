//! What rust_socketio's own client does, and why the engine's end takes only its engine.io.
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

type Seen = mpsc::UnboundedReceiver<(String, serde_json::Value)>;

/// Its client, and every event it tells of.
async fn client(url: &str) -> (Client, Seen) {
    let (sender, seen) = mpsc::unbounded_channel();
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
    (soon(builder.connect()).await.unwrap(), seen)
}

async fn next_event(seen: &mut Seen) -> (String, serde_json::Value) {
    soon(seen.recv()).await.unwrap()
}

#[tokio::test]
async fn it_works_against_our_server() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let (client, mut seen) = client(&server.url()).await;
    let mut link = soon(server.accept()).await.unwrap();
    assert_eq!(next_event(&mut seen).await.0, Event::Connect.to_string());
    client.emit("message", serde_json::json!({ "action": "emit", "id": 5 })).await.unwrap();
    assert_eq!(next_id(&mut link).await, 5);
    send(&mut link, emit(6, Payload::new(1))).await.unwrap();
    let (name, value) = next_event(&mut seen).await;
    assert_eq!((name.as_str(), &value["id"]), ("message", &serde_json::json!(6)));
    client.disconnect().await.unwrap();
}

/// A payload comes out changed, where our link hands out the bytes that were sent.
#[tokio::test]
async fn it_rounds_large_numbers_and_drops_what_it_cannot_hold() {
    let mut server = server(SocketIoServerConfig::default()).await;
    let (_client, mut seen) = client(&server.url()).await;
    let mut link = soon(server.accept()).await.unwrap();
    assert_eq!(next_event(&mut seen).await.0, Event::Connect.to_string());
    let json = "[123456789012345678901234567890]";
    send(&mut link, emit(1, Payload::from_json(json).unwrap())).await.unwrap();
    let (_, value) = next_event(&mut seen).await;
    assert_eq!(value["payload"].to_string(), "[1.2345678901234568e+29]");
    // A number it cannot hold costs the message.
    send(&mut link, emit(2, Payload::from_json("[1e400]").unwrap())).await.unwrap();
    send(&mut link, emit(3, Payload::null())).await.unwrap();
    loop {
        let (name, value) = next_event(&mut seen).await;
        assert!(name != "message" || value["id"] != 2, "{value}");
        if value["id"] == 3 {
            break;
        }
    }
}

/// Its caller would never learn that the connection is over.
#[tokio::test]
async fn it_tells_nobody_of_a_websocket_that_was_closed_in_order() {
    let (listener, url) = listener().await;
    let plugin = async {
        let mut ws = accept_ws(&listener).await;
        say(&mut ws, open(Duration::from_secs(60))).await;
        assert_eq!(hear(&mut ws).await.unwrap(), "3");
        assert_eq!(hear(&mut ws).await.unwrap(), "40");
        say(&mut ws, r#"40{"sid":"y"}"#).await;
        ws
    };
    let ((_client, mut seen), mut ws) = tokio::join!(client(&url), plugin);
    assert_eq!(next_event(&mut seen).await.0, Event::Connect.to_string());
    let _ = ws.send(Frame::Close(None)).await;
    while hear(&mut ws).await.is_some() {}
    drop(ws);
    let told = tokio::time::timeout(Duration::from_millis(300), seen.recv()).await;
    // Either nothing comes, or its task is over and its callbacks are gone with it; it never says that it closed.
    assert!(matches!(told, Err(_) | Ok(None)), "{told:?}");
}

/// `connect()` is done before the namespace has answered, and nothing holds back what is sent then.
#[tokio::test]
async fn it_sends_before_the_namespace_has_let_it_in() {
    let (listener, url) = listener().await;
    let plugin = async {
        let mut ws = accept_ws(&listener).await;
        say(&mut ws, open(Duration::from_secs(60))).await;
        assert_eq!(hear(&mut ws).await.unwrap(), "3");
        assert_eq!(hear(&mut ws).await.unwrap(), "40");
        // No answer.
        hear(&mut ws).await.unwrap()
    };
    let engine = async {
        let (client, seen) = client(&url).await;
        client.emit("message", serde_json::json!({ "action": "emit" })).await.unwrap();
        (client, seen)
    };
    let (early, (_client, mut seen)) = soon(async { tokio::join!(plugin, engine) }).await;
    assert_eq!(early, r#"42["message",{"action":"emit"}]"#);
    assert!(seen.try_recv().is_err());
}

/// Its engine.io takes binary frames for packets with separators between them, below anything of ours.
#[tokio::test]
async fn an_attachment_with_a_separator_in_it_ends_even_our_link() {
    let (mut link, mut ws) = raw_plugin(Duration::from_secs(60)).await;
    say(&mut ws, r#"451-["message",{"_placeholder":true,"num":0}]"#).await;
    ws.send(Frame::binary(b"a\x1e\xff".to_vec())).await.unwrap();
    assert!(next(&mut link).await.unwrap().is_err());
    let end = end(&mut link).await;
    assert!(matches!(end, connector_core::LinkEnd::BadFrame(_)), "{end:?}");
}
