//! Peers that write the victim's log.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::{Instant, timeout};

use super::hub::register;
use super::raw::{self, Socket, filler};
use super::verdict::Side::Peer;
#[cfg(feature = "socketio")]
use super::victim::Kind;
use super::victim::Kind::{Engine, Hub, Local, Ws};
use super::{Case, Result, Target, text};

pub(super) const CASES: &[Case] = &[
    Case::new("log-flood-ws", Ws, Peer, 0, &of_websocket)
        .about("frames of 7 bytes that are not messages, after a handshake that names the plugin with 1 MB"),
    #[cfg(feature = "socketio")]
    Case::new("log-flood-socketio", Kind::Socketio, Peer, 0, &of_socketio)
        .about("events of socket.io that are not messages"),
    Case::new("log-flood-local", Local, Peer, 0, &of_local).about("the same over a local socket"),
    Case::new("log-flood-hub", Hub, Peer, 0, &of_hub).about("frames of 7 bytes by a service of a hub"),
    Case::new("log-flood-engine", Engine, Peer, 0, &of_engine).about("frames of 7 bytes by a plugin"),
];

/// Not a message.
const JUNK: &str = "notjson";
/// The frames of one write.
const BATCH: usize = 64;

/// The lengths of the plugin's name: the second for a victim that does not take the first.
const NAMES: [usize; 2] = [1 << 20, 32 << 10];
/// The time within which the victim has to answer the handshake.
const ANSWERED: Duration = Duration::from_secs(1);

/// A handshake that gives the plugin a name of that length.
fn handshake(length: usize) -> String {
    let name = filler(0, length);
    format!(r#"{{"action":"request","id":0,"name":"x","key":"handshake","payload":["{name}"]}}"#)
}

/// Sends the frame until the time is up.
async fn flood(link: Socket, target: &Target, frame: Vec<u8>) -> Result<Socket> {
    target.flood(link, &frame.repeat(BATCH), BATCH).await
}

async fn of_websocket(target: Target) -> Result<Socket> {
    for length in NAMES {
        let mut link = Socket::dial(&target.url).await?;
        let answered = async {
            link.send(handshake(length)).await?;
            while !link.receive().await?.contains("response") {}
            Ok::<_, String>(())
        };
        if let Ok(Ok(())) = timeout(ANSWERED, answered).await {
            return flood(link, &target, raw::masked_frame(JUNK)).await;
        }
    }
    Err("no handshake was answered".to_owned())
}

#[cfg(feature = "socketio")]
async fn of_socketio(target: Target) -> Result<Socket> {
    let link = super::polling::engine(&target.url).await?;
    flood(link, &target, raw::masked_frame(r#"42["message",7]"#)).await
}

async fn of_hub(target: Target) -> Result<Socket> {
    let link = register(&target.url, "Flood", &[]).await?;
    flood(link, &target, raw::masked_frame(JUNK)).await
}

async fn of_engine(mut target: Target) -> Result<Socket> {
    let link = target.link()?;
    flood(link, &target, raw::unmasked_frame(JUNK)).await
}

async fn of_local(target: Target) -> Result<impl Send> {
    let batch = format!("{JUNK}\n").repeat(BATCH);
    for length in NAMES {
        let mut stream = BufReader::new(raw::open(target.kind, &target.url).await?);
        let answered = async {
            stream.write_all(format!("{}\n", handshake(length)).as_bytes()).await?;
            let mut line = String::new();
            while !line.contains("response") && stream.read_line(&mut line).await? > 0 {}
            Ok::<_, std::io::Error>(line.contains("response"))
        };
        if !matches!(timeout(ANSWERED, answered).await, Ok(Ok(true))) {
            continue;
        }
        while Instant::now() < target.until {
            stream.write_all(batch.as_bytes()).await.map_err(text)?;
            target.count_all(BATCH);
        }
        return Ok(stream);
    }
    Err("no handshake was answered".to_owned())
}
