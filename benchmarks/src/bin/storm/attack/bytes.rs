//! Plugins and engines that let their peer hold bytes for them.

use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::children::nothing;
use super::raw::{self, Socket, filler, request};
use super::verdict::Side::Peer;
#[cfg(feature = "socketio")]
use super::victim::Kind;
use super::victim::Kind::{Engine, Local, Ws};
use super::{Case, Result, Target, text};

pub(super) const CASES: &[Case] = &[
    Case::new("unread-answers", Engine, Peer, 250, &unread_answers)
        .about("250 calls by a plugin that does not read their answers of 16 MB"),
    Case::new("unread-answers-plugin", Ws, Peer, 250, &unread_answers_of_plugin).about("the same by an engine"),
    #[cfg(feature = "socketio")]
    Case::new("unread-answers-socketio", Kind::Socketio, Peer, 250, &unread_answers_of_socketio)
        .about("the same by an engine over socket.io"),
    Case::new("unread-answers-local", Local, Peer, 250, &unread_answers_of_local)
        .about("the same by an engine over a local socket"),
    Case::new("unread-answers-child", Engine, Peer, 250, &nothing).about("the same by a child process").child(&[
        "python3",
        "-c",
        CHILD_THAT_DOES_NOT_READ,
    ]),
    Case::new("unread-values", Engine, Peer, 900, &unread_values)
        .about("900 events with values of 2 MiB for a plugin that does not read"),
    Case::new("blocked-thread", Engine, Peer, 900, &blocked_thread)
        .about("900 events with values of 2 MiB for a plugin that blocks its thread"),
    Case::new("remembered-events", Engine, Peer, 250, &remembered_events).about("250 remembered events of 16 MB"),
    Case::new("event-names", Engine, Peer, 1500, &event_names).about("subscriptions to 1,500 event names of 1 MB"),
    Case::new("profiles", Engine, Peer, 40, &profiles).about("40 updateProfile with a new field of 15 MB each"),
    Case::new("activation-list", Engine, Peer, 1, &activation_list)
        .about("activatePlugin with a list of 14 MB")
        .brief(),
    Case::new("waiting-calls", Engine, Peer, 200, &waiting_calls).about("200 waiting calls with 15 MB of arguments"),
    Case::new("waiting-calls-plugin", Ws, Peer, 200, &waiting_calls_of_plugin).about("the same by an engine"),
];

const MB: usize = 1_000_000;

/// Sends one message for each item, and keeps the link open without reading.
async fn send_each(mut link: Socket, target: &Target, message: impl Fn(usize) -> String) -> Result<Socket> {
    for n in 0..target.n {
        link.send(message(n)).await?;
        target.count();
    }
    Ok(link)
}

async fn unread_answers(mut target: Target) -> Result<Socket> {
    let link = target.link()?;
    send_each(link, &target, |n| request(n, "store", "big", &format!("[{}]", 16 * MB))).await
}

async fn unread_answers_of_plugin(target: Target) -> Result<Socket> {
    let mut engine = Socket::dial(&target.url).await?;
    engine.send(request(0, "victim", "handshake", r#"["victim",null]"#)).await?;
    send_each(engine, &target, |n| request(n + 1, "victim", "big", &format!("[{}]", 16 * MB))).await
}

#[cfg(feature = "socketio")]
async fn unread_answers_of_socketio(target: Target) -> Result<Socket> {
    let link = super::polling::engine(&target.url).await?;
    let big = |n| format!(r#"42["message",{}]"#, request(n + 1, "victim", "big", &format!("[{}]", 16 * MB - 1000)));
    send_each(link, &target, big).await
}

async fn unread_answers_of_local(target: Target) -> Result<impl Send> {
    let mut engine = raw::open(target.kind, &target.url).await?;
    let mut send = async |line: String| engine.write_all(format!("{line}\n").as_bytes()).await.map_err(text);
    send(request(0, "victim", "handshake", r#"["victim",null]"#)).await?;
    for n in 0..target.n {
        send(request(n + 1, "victim", "big", &format!("[{}]", 16 * MB))).await?;
        target.count();
    }
    Ok(engine)
}

/// Answers the engine's handshake, the first line, and reads nothing more.
const CHILD_THAT_DOES_NOT_READ: &str = r#"
import json, sys, time
handshake = json.loads(sys.stdin.readline())
send = lambda message: print(json.dumps(message), flush=True)
send({"action": "response", "id": handshake["id"], "name": "child", "key": "handshake", "payload": []})
time.sleep(1)
for id in range(250):
    send({"action": "request", "id": id, "name": "store", "key": "big", "payload": [16_000_000]})
time.sleep(3600)
"#;

async fn unread_values(mut target: Target) -> Result<Socket> {
    let mut link = target.link()?;
    link.send(r#"{"action":"on","name":"store","key":"value"}"#).await?;
    burst(link, &target).await
}

async fn blocked_thread(mut target: Target) -> Result<Socket> {
    let mut link = target.link()?;
    link.send(request(0, "thread", "block", "[60000]")).await?;
    // By then it has subscribed.
    tokio::time::sleep(Duration::from_millis(500)).await;
    burst(link, &target).await
}

/// Makes a plugin emit events with large values.
async fn burst(mut link: Socket, target: &Target) -> Result<Socket> {
    link.send(request(1, "store", "burst", &format!("[{},{}]", target.n, 2 << 20))).await?;
    target.count();
    Ok(link)
}

/// The subscription makes the engine remember.
async fn remembered_events(mut target: Target) -> Result<Socket> {
    let mut link = target.link()?;
    for n in 0..target.n {
        link.send(format!(r#"{{"action":"once","name":"hostile","key":"e{n}"}}"#)).await?;
        link.send(format!(r#"{{"action":"off","name":"hostile","key":"e{n}"}}"#)).await?;
    }
    let data = filler(0, 16 * MB);
    send_each(link, &target, |n| format!(r#"{{"action":"emit","key":"e{n}","payload":["{data}"]}}"#)).await
}

async fn event_names(mut target: Target) -> Result<Socket> {
    let link = target.link()?;
    let on = |n| format!(r#"{{"action":"on","name":"app","key":"{}"}}"#, filler(n, MB));
    send_each(link, &target, on).await
}

async fn profiles(mut target: Target) -> Result<Socket> {
    let link = target.link()?;
    let data = filler(0, 15 * MB);
    let update = |n| request(n, "manager", "updateProfile", &format!(r#"[{{"name":"hostile","field{n}":"{data}"}}]"#));
    // Reads the answers, so that they are not what costs.
    send_and_read(link, &target, update).await
}

/// As [`send_each`], but reads what arrives before each further message.
async fn send_and_read(mut link: Socket, target: &Target, message: impl Fn(usize) -> String) -> Result<Socket> {
    for n in 0..target.n {
        link.send(message(n)).await?;
        link.receive().await?;
        target.count();
    }
    Ok(link)
}

async fn activation_list(mut target: Target) -> Result<Socket> {
    let link = target.link()?;
    let list = vec!["\"a\""; 14 * MB / 4].join(",");
    send_each(link, &target, |n| request(n, "manager", "activatePlugin", &format!("[[{list}]]"))).await
}

async fn waiting_calls(mut target: Target) -> Result<Socket> {
    let link = target.link()?;
    let data = filler(0, 15 * MB);
    send_each(link, &target, |n| request(n, "worker", "work", &format!(r#"[9000,"{data}"]"#))).await
}

async fn waiting_calls_of_plugin(target: Target) -> Result<Socket> {
    let mut engine = Socket::dial(&target.url).await?;
    engine.send(request(0, "victim", "handshake", r#"["victim",null]"#)).await?;
    let data = filler(0, 15 * MB);
    let work = |n| request(n + 1, "victim", "work", &format!(r#"[9000,"{data}"]"#));
    send_each(engine, &target, work).await
}
