//! Peers that write the victim's log.

use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

use super::raw::{self, Socket, filler};
use super::verdict::Side::{Peer, Stranger};
use super::victim::Kind::{Engine, Hub, Local, Ws};
use super::{Attack, Case, Result, Target, text};

pub(super) const CASES: &[Case] = &[
    Case::new("log-flood-ws", Ws, Peer, 0, of_websocket)
        .about("frames of 7 bytes that are not messages, after a handshake that names the plugin with 1 MB"),
    Case::new("log-flood-local", Local, Peer, 0, of_local).about("the same over a local socket"),
    Case::new("log-flood-hub", Hub, Stranger, 0, of_hub).about("frames of 7 bytes at a hub"),
    Case::new("log-flood-engine", Engine, Peer, 0, of_engine).about("frames of 7 bytes by a plugin"),
];

/// Not a message.
const JUNK: &str = "notjson";
/// The frames of one write.
const BATCH: usize = 64;

/// A handshake that names the plugin with 1 MB.
fn handshake() -> String {
    let name = filler(0, 1 << 20);
    format!(r#"{{"action":"request","id":0,"name":"x","key":"handshake","payload":["{name}"]}}"#)
}

/// Sends junk as the link's text frames until the time is up.
async fn flood(mut link: Socket, target: Target, frame: Vec<u8>) -> Result<super::Held> {
    let batch = frame.repeat(BATCH);
    while Instant::now() < target.until {
        link.write(&batch).await?;
        target.count_all(BATCH);
    }
    Ok(Box::new(link))
}

fn of_websocket(target: Target) -> Attack {
    Box::pin(async move {
        let mut link = Socket::dial(&target.url).await?;
        link.send(handshake()).await?;
        flood(link, target, raw::masked_frame(JUNK)).await
    })
}

fn of_hub(target: Target) -> Attack {
    Box::pin(async move {
        let link = Socket::dial(&target.url).await?;
        flood(link, target, raw::masked_frame(JUNK)).await
    })
}

fn of_engine(mut target: Target) -> Attack {
    Box::pin(async move {
        let link = target.link()?;
        flood(link, target, raw::unmasked_frame(JUNK)).await
    })
}

fn of_local(target: Target) -> Attack {
    Box::pin(async move {
        let mut stream = raw::open(target.kind, &target.url).await?;
        stream.write_all(format!("{}\n", handshake()).as_bytes()).await.map_err(text)?;
        let batch = format!("{JUNK}\n").repeat(BATCH);
        while Instant::now() < target.until {
            stream.write_all(batch.as_bytes()).await.map_err(text)?;
            target.count_all(BATCH);
        }
        Ok(Box::new(stream) as _)
    })
}
