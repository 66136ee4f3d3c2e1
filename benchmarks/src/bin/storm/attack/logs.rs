//! Peers that write the victim's log.

use super::raw::{Socket, filler};
use super::verdict::Side::Peer;
use super::victim::Kind::Ws;
use super::{Attack, Case, Target};
use tokio::time::Instant;

pub(super) const CASES: &[Case] = &[Case::new("log-flood", Ws, Peer, 0, log_flood)
    .about("frames of 7 bytes that are not messages, after a handshake that names the plugin with 1 MB")];

/// Frames between two looks at the clock.
const BATCH: usize = 64;

fn log_flood(target: Target) -> Attack {
    Box::pin(async move {
        let mut engine = Socket::dial(&target.url).await?;
        let name = filler(0, 1 << 20);
        engine
            .send(format!(r#"{{"action":"request","id":0,"name":"x","key":"handshake","payload":["{name}"]}}"#))
            .await?;
        let frame = tokio_tungstenite::tungstenite::Utf8Bytes::from_static("notjson");
        while Instant::now() < target.until {
            for _ in 0..BATCH {
                engine.send(frame.clone()).await?;
                target.count();
            }
        }
        Ok(Box::new(engine) as _)
    })
}
