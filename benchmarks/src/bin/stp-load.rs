//! A load test of a hub: many services in many sessions that send each other requests without a pause.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use connector_core::stp::{RequestHandler, StpConnector, StpService, StpTimeout};
use examples::{Done, report};
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::json;
use tokio::task::JoinSet;
use transport_ws::WsServerConfig;
use transport_ws::stp::{StpHub, StpHubConfig, StpWsConnector};

/// Lets services of a hub send requests in a ring, one at a time each, and prints a line of JSON: requests per second,
/// errors, and the memory of this process, hub and services together, during the run.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The duration in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The number of services.
    #[arg(long, default_value_t = 1000)]
    services: usize,
    /// The number of sessions they are distributed over.
    #[arg(long, default_value_t = 100)]
    sessions: usize,
}

/// Samples of the memory.
const SAMPLES: u32 = 12;

fn main() -> ExitCode {
    examples::run(load(Args::parse()))
}

async fn load(args: Args) -> Done {
    let sessions = args.sessions.clamp(1, args.services.max(1));
    let server = WsServerConfig::default().max_connections(args.services.saturating_add(16));
    let hub = StpHub::bind("127.0.0.1:0", StpHubConfig::default().server(server)).await?;
    let (url, handle) = (hub.url(), hub.handle());
    let serving = tokio::spawn(hub.serve());

    let services: Vec<Result<StpWsConnector, _>> =
        stream::iter(0..args.services).map(|n| connect(&url, n, sessions)).buffered(32).collect().await;
    let services = services.into_iter().collect::<Result<Vec<_>, _>>()?;

    let (stop, errors, asked) =
        (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut tasks = JoinSet::new();
    for (n, service) in services.iter().enumerate() {
        // The next one of its session; a service alone in its session would send to itself, which is not allowed.
        let next = if n + sessions < args.services { n + sessions } else { n % sessions };
        let (service, stop, errors, asked) = (service.clone(), stop.clone(), errors.clone(), asked.clone());
        tasks.spawn(async move {
            let message = json!({ "method": format!("Echo{next}"), "params": { "from": n } }).to_string();
            while !stop.load(Ordering::Relaxed) {
                let answer = service.request(&message, StpTimeout::default()).await;
                asked.fetch_add(1, Ordering::Relaxed);
                if !answer.is_ok_and(|answer| answer == [message.as_str()]) {
                    errors.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
    }

    let start = Instant::now();
    let mut memory = Vec::new();
    for _ in 0..SAMPLES {
        tokio::time::sleep(Duration::from_secs(args.seconds) / SAMPLES).await;
        memory.push(resident_kib());
    }
    stop.store(true, Ordering::Relaxed);
    while tasks.join_next().await.is_some() {}
    let (asked, errors, took) = (asked.load(Ordering::Relaxed), errors.load(Ordering::Relaxed), start.elapsed());
    let counters = handle.counters();
    report(json!({
        "services": args.services, "sessions": sessions, "seconds": took.as_secs_f64(),
        "requests": asked, "perSecond": asked as f64 / took.as_secs_f64(), "errors": errors,
        "memoryStartKiB": memory.first(), "memoryEndKiB": memory.last(), "memoryKiB": memory, "hub": counters,
    }));
    let closed = services.iter().map(|service| service.disconnect(StpTimeout::from_seconds(5.0)));
    for closed in futures_util::future::join_all(closed).await {
        closed?;
    }
    serving.abort();
    match errors {
        0 => Ok(()),
        _ => Err(format!("{errors} of {asked} requests were not answered").into()),
    }
}

async fn connect(url: &str, n: usize, sessions: usize) -> Result<StpWsConnector, connector_core::stp::StpConnectError> {
    let connector = StpWsConnector::new(url);
    connector.on_request(RequestHandler::new(|message| std::future::ready(Ok::<_, String>(message))));
    let service = StpService::new("Load", [format!("Echo{n}")]).session_id(format!("session{}", n % sessions));
    connector.connect(service, StpTimeout::default()).await?;
    Ok(connector)
}

/// The resident memory of this process, on Linux.
fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
