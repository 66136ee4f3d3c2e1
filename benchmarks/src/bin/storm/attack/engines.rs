//! Hostile engines, at the plugin's end of a link.

use super::raw::{self, Socket, request};
use super::verdict::Side::Peer;
use super::victim::Kind::Ws;
use super::{Case, Result, Target};

pub(super) const CASES: &[Case] = &[
    Case::new("requests-plugin", Ws, Peer, 0, &requests)
        .about("requests at full speed by an engine that does not read"),
    Case::new("events-plugin", Ws, Peer, 0, &events).about("events at full speed by an engine").brief(),
    Case::new("handshakes-plugin", Ws, Peer, 5, &handshakes).about("5 handshakes of 15 MB").brief(),
    Case::new("fragments-plugin", Ws, Peer, 0, &fragments)
        .about("a message in empty websocket frames without end, at full speed")
        .brief(),
    Case::new("ping-flood-plugin", Ws, Peer, 0, &pings)
        .about("websocket pings at full speed, whose answers are not read")
        .brief(),
];

/// The frames of one write.
const BATCH: usize = 1000;

/// An engine after its handshake.
async fn engine(target: &Target) -> Result<Socket> {
    let mut engine = Socket::dial(&target.url).await?;
    engine.send(request(0, "victim", "handshake", r#"["victim",null]"#)).await?;
    while !engine.receive().await?.contains("response") {}
    Ok(engine)
}

fn batch(frame: impl Fn(usize) -> String) -> Vec<u8> {
    (1..=BATCH).flat_map(|n| raw::masked_frame(&frame(n))).collect()
}

async fn requests(target: Target) -> Result<Socket> {
    target.flood(engine(&target).await?, &batch(|n| request(n, "victim", "echo", "[1]")), BATCH).await
}

async fn events(target: Target) -> Result<Socket> {
    let event = |_| r#"{"action":"notification","name":"x","key":"e","payload":[1]}"#.to_owned();
    target.flood(engine(&target).await?, &batch(event), BATCH).await
}

async fn handshakes(target: Target) -> Result<Socket> {
    let mut engine = engine(&target).await?;
    let name = raw::filler(0, 15_000_000);
    for n in 0..target.n {
        engine.send(request(n + 1, "victim", "handshake", &format!(r#"["{name}"]"#))).await?;
        target.count();
        while !engine.receive().await?.contains("response") {}
    }
    Ok(engine)
}

async fn fragments(target: Target) -> Result<Socket> {
    let mut engine = engine(&target).await?;
    engine.write(&raw::masked(0x01, "")).await?;
    target.flood(engine, &raw::masked(0x00, "").repeat(BATCH), BATCH).await
}

async fn pings(target: Target) -> Result<Socket> {
    target.flood(engine(&target).await?, &raw::masked(0x89, "ping").repeat(BATCH), BATCH).await
}
