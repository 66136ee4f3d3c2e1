//! Plugins that send more than their share, beside others that need the same engine.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use connector_core::{ClientConfig, ClientConnector, Plugin, connect};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use transport_ws::{WsServer, WsServerConfig};

use super::load::Operation::{Call, Emit};
use super::raw::{self, Socket, request};
use super::verdict::Side::Peer;
use super::victim::Kind::Engine;
use super::{Case, Result, Target, text};

pub(super) const CASES: &[Case] = &[
    Case::new("event-flood", Engine, Peer, 0, &event_flood)
        .about("events at full speed beside a steady listener")
        .politely(Emit),
    Case::new("slow-calls", Engine, Peer, 1100, &slow_calls)
        .about("1,100 calls of 50 ms by one plugin beside another caller of the same plugin")
        .calls("worker", "work")
        .politely(Call),
    Case::new("activations", Engine, Peer, 30, &activations)
        .about("30 activatePlugin of a plugin that does not answer")
        .brief(),
    Case::new("refused-activations", Engine, Peer, 0, &refused_activations)
        .about("activatePlugin at full speed of a plugin where nothing listens"),
    Case::new("cancels", Engine, Peer, 100_000, &cancels).about("100,000 cancels with distinct keys and ids").brief(),
    Case::new("digits", Engine, Peer, 5, &digits)
        .about("a number of 15 million digits as a method's argument, 5 times")
        .brief(),
];

/// The events of one write.
const BATCH: usize = 1000;

/// A plugin that listens to the hostile plugin and reads steadily.
pub(super) struct Steady {
    links: Arc<AtomicUsize>,
    serving: JoinHandle<()>,
}

impl Steady {
    /// Serves it at the returned URL.
    pub(super) async fn start() -> Result<(Steady, String)> {
        let mut server = WsServer::bind("127.0.0.1:0", WsServerConfig::default()).await.map_err(text)?;
        let (links, url) = (Arc::new(AtomicUsize::new(0)), server.url());
        let count = Arc::clone(&links);
        let serving = tokio::spawn(async move {
            while let Ok(link) = server.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                let (client, session) = connect(link, Plugin::new("steady"), ClientConfig::default());
                // Fails only after the end of the link.
                for flood in ["hostile", "child", "thread"] {
                    let _ = client.on(flood, "tick", |_: u64| {});
                }
                session.await;
            }
        });
        Ok((Steady { links, serving }, url))
    }

    /// The number of links it has lost.
    pub(super) fn lost(&self) -> usize {
        self.links.load(Ordering::Relaxed).saturating_sub(1)
    }
}

impl Drop for Steady {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn event_flood(mut target: Target) -> Result<Socket> {
    let link = target.link()?;
    let event = r#"{"action":"emit","key":"tick","payload":[1]}"#;
    // Frames that are ready to be written, so that the flood is limited by the victim alone.
    let batch = raw::unmasked_frame(event).repeat(BATCH);
    target.flood(link, &batch, BATCH).await
}

/// Activations of a plugin to which a connection is made that is never accepted.
async fn activations(mut target: Target) -> Result<Socket> {
    let mut link = target.link()?;
    for n in 0..target.n {
        link.send(request(n, "manager", "activatePlugin", r#"["silent"]"#)).await?;
        target.count();
    }
    Ok(link)
}

async fn refused_activations(mut target: Target) -> Result<Socket> {
    let mut link = target.link()?;
    for n in 0.. {
        link.send(request(n, "manager", "activatePlugin", r#"["unreachable"]"#)).await?;
        // Some at a time.
        if n >= 16 {
            link.receive().await?;
            target.count();
        }
    }
    Ok(link)
}

/// Of calls that do not exist.
async fn cancels(mut target: Target) -> Result<Socket> {
    let mut link = target.link()?;
    for n in 0..target.n / 2 {
        link.send(format!(r#"{{"action":"cancel","name":"worker","key":"key{n}"}}"#)).await?;
        link.send(format!(r#"{{"action":"cancel","id":{n}}}"#)).await?;
        target.count_all(2);
    }
    Ok(link)
}

async fn digits(mut target: Target) -> Result<Socket> {
    let mut link = target.link()?;
    let number = format!("[{}]", "7".repeat(15_000_000));
    for n in 0..target.n {
        link.send(request(n, "worker", "work", &number)).await?;
        drop(link.receive().await?);
        target.count();
    }
    Ok(link)
}

async fn slow_calls(mut target: Target) -> Result<Socket> {
    let mut link = target.link()?;
    for n in 0..target.n {
        link.send(request(n, "worker", "work", "[50]")).await?;
        target.count();
    }
    // Reads the answers: it is a well-behaved plugin but for the number of its calls.
    while Instant::now() < target.until {
        match tokio::time::timeout_at(target.until, link.receive()).await {
            Ok(answer) => drop(answer?),
            Err(_) => break,
        }
    }
    Ok(link)
}
