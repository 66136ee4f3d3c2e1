//! What clients can put into the hub's log.

use conformance::traces;
use futures_util::SinkExt;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tracing::Level;

use crate::support::*;

/// Forges a line, clears the screen, and reverses the text that follows.
const HOSTILE: &str = "\u{1b}[2Jx\r\nERROR forged\u{202e}\u{9b}31m";

#[tokio::test]
async fn clients_cannot_flood_the_hubs_log() {
    let hub = hub().await;
    let traces = traces(Level::INFO);
    let long = HOSTILE.to_owned() + &"x".repeat(1 << 20);
    let mut frames = Vec::new();
    for text in [HOSTILE, &long] {
        let register = json!({"serviceName": text, "solvables": [text], "sessionId": text});
        frames.push(json!({"method": text}).to_string());
        frames.push(json!({"method": "Register", "params": {"serviceName": text}}).to_string());
        frames.push(json!({"method": "RequestResponse", "params": text}).to_string());
        frames.push(format!("{{\"method\": \"{text}"));
        frames.push(json!({"method": "Register", "params": register}).to_string());
    }
    let (long, short): (Vec<_>, Vec<_>) = frames.into_iter().partition(|frame| frame.len() > 1000);
    for frames in [&short, &long] {
        let mut peer = Peer::dial(&hub.url).await;
        for frame in frames {
            peer.send(frame).await;
        }
    }
    // From many connections, because a new connection is cheap.
    for _ in 0..100 {
        let mut peer = Peer::dial(&hub.url).await;
        for frame in short.iter().cycle().take(200) {
            soon(peer.0.feed(Message::text(frame.clone()))).await.unwrap();
            soon(peer.0.feed(Message::binary(vec![0]))).await.unwrap();
        }
        peer.request(0, &json!({"method": "none"}), 1.0).await;
        peer.json().await;
    }
    let lines = traces.lines();
    assert!((1..=2_000).contains(&lines.len()), "{} lines for 40,000 frames", lines.len());
    for line in lines {
        assert!(line.len() < 8192 && !line.contains(|c: char| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
}
