//! The operations of an attack as well-behaved clients carry them out, at the same rate. The latency beside them tells
//! what of an attack's cost is its load, and what its manners.

use std::future::Future;
use std::time::Duration;

use connector_core::{ClientConfig, ClientConnector, Plugin, PluginClient, connect};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval};
use transport_ws::{WsServer, WsServerConfig};

use super::polite::{Stats, Way};
use super::victim::Kind;
use super::{Case, QUIET, Result, Scene, text};

/// What a well-behaved client does instead of an item of an attack.
#[derive(Clone, Copy)]
pub(super) enum Operation {
    /// Connects, calls once, and leaves.
    Join,
    /// Calls, and waits for the result.
    Call,
    /// Emits an event.
    Emit,
}

/// Operations under way at a time, as an attack has connections. Beyond, the rate is not reached.
const CONCURRENT: usize = 16;
/// The interval at which operations become due.
const TICK: Duration = Duration::from_millis(5);

/// What the polite client of another victim sees while others carry out `operation` `rate` times a second.
pub(super) async fn observe(case: &Case, operation: Operation, rate: f64) -> Result<Stats> {
    let mut load = JoinSet::new();
    let scene = match (case.victim, operation) {
        (Kind::Engine, operation) => {
            let mut server = WsServer::bind("127.0.0.1:0", WsServerConfig::default()).await.map_err(text)?;
            let (url, calls) = (server.url(), case.calls);
            load.spawn(async move {
                let Ok(link) = server.accept().await else { return };
                let (client, session) = connect(link, Plugin::new("hostile"), ClientConfig::default());
                tokio::select! {
                    _ = session => {}
                    () = async { if client.onload().await.is_ok() { as_plugin(&client, operation, calls, rate).await } } => {}
                }
            });
            Scene::start(case, &url).await?
        }
        (kind, operation) => {
            let scene = Scene::start(case, "").await?;
            let way = Way::to(kind, &scene.victim.address);
            load.spawn(async move { as_client(&way, operation, rate).await });
            scene
        }
    };
    Ok(scene.observe(QUIET).await)
}

async fn as_plugin(client: &PluginClient, operation: Operation, (plugin, method): (&str, &str), rate: f64) {
    paced(rate, || async {
        // Failures are the polite client's to report.
        match operation {
            Operation::Emit => drop(client.emit("tick", (1,)).await),
            Operation::Call | Operation::Join => drop(client.call::<u64>(plugin, method, (50,)).await),
        }
    })
    .await;
}

async fn as_client(way: &Way, operation: Operation, rate: f64) {
    let standing = match operation {
        Operation::Join => None,
        Operation::Call | Operation::Emit => way.connect().await.ok(),
    };
    paced(rate, || async {
        match &standing {
            Some(client) => drop(client.call().await),
            None => {
                if let Ok(client) = way.connect().await {
                    drop(client.call().await);
                    client.leave().await;
                }
            }
        }
    })
    .await;
}

/// Carries out an operation `rate` times a second, without end.
async fn paced<F: Future<Output = ()>>(rate: f64, operation: impl Fn() -> F) {
    let (mut ticks, began, mut started) = (interval(TICK), Instant::now(), 0.0);
    let mut running = FuturesUnordered::new();
    loop {
        while started < began.elapsed().as_secs_f64() * rate && running.len() < CONCURRENT {
            running.push(operation());
            started += 1.0;
        }
        tokio::select! {
            _ = ticks.tick() => {}
            Some(()) = running.next() => {}
        }
    }
}
