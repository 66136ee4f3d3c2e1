//! The workload and its measurement, independent of the transport.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use connector_core::{PluginClient, Registration, Serving};
use examples::{Done, report, stdin_ended};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::{Mode, Threads, Workload, engine};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The plugin's process. It ends with this value, and when this process does.
pub(crate) struct Server {
    pub(crate) address: String,
    child: Child,
}

impl Server {
    pub(crate) async fn start(transport: &str, threads: Threads) -> Result<Server> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(transport)
            .arg("--rt")
            .arg(if threads == Threads::Multi { "multi" } else { "current" })
            .arg("serve");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let stdout = child.stdout.take().ok_or("the plugin's process has no stdout")?;
        let mut address = String::new();
        BufReader::new(stdout).read_line(&mut address).await?;
        let address = address.trim().to_owned();
        if address.is_empty() {
            return Err("the plugin's process printed no address".into());
        }
        Ok(Server { address, child })
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.id()
    }
}

impl Drop for Server {
    /// Lets the process end by itself, since it may have started others, such as a NATS server; kills it after 5 s.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        for _ in 0..500 {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
    }
}

/// Serves the plugin at `url`, which it prints, until standard input ends.
pub(crate) async fn serve(url: String, serving: Serving) -> Done {
    report(url);
    tokio::select! {
        end = serving => Err(end.into()),
        () = stdin_ended() => Ok(()),
    }
}

/// Starts the plugin's process, which serves it over `transport`, and measures calls to it.
pub(crate) async fn server(transport: &str, workload: Workload, plugin: fn(&str) -> Registration) -> Done {
    let server = Server::start(transport, workload.rt).await?;
    let (engine, local, _observing) = engine(plugin(&server.address), &workload).await?;
    run(transport, &workload, &local, server.pid()).await?;
    engine.shutdown().await;
    Ok(())
}

/// What is called, and emits events.
pub(crate) trait Peer {
    /// Returns the text.
    async fn echo(&self, text: String) -> Result<String>;

    /// Makes it emit `n` events, and waits until all have arrived.
    async fn events(&self, n: usize, text: &str) -> Result<()>;
}

impl Peer for PluginClient {
    async fn echo(&self, text: String) -> Result<String> {
        Ok(self.call("plugin", "echo", (text,)).await?)
    }

    async fn events(&self, n: usize, text: &str) -> Result<()> {
        let (tell, done) = oneshot::channel();
        let (left, tell, expected) = (AtomicUsize::new(n), Arc::new(Mutex::new(Some(tell))), text.to_owned());
        self.on("plugin", "tick", move |text: String| {
            let last = left.fetch_sub(1, Ordering::Relaxed) == 1;
            if (last || text != expected)
                && let Some(tell) = tell.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
            {
                let _ = tell.send(text == expected);
            }
        })?;
        self.call::<bool>("plugin", "fire", (n, text.to_owned())).await?;
        let unchanged = done.await?;
        self.off("plugin", "tick")?;
        if unchanged { Ok(()) } else { Err("the event was changed".into()) }
    }
}

/// The time limit of a measurement.
const LIMIT: Duration = Duration::from_secs(120);

/// Warms up, measures the rounds, and reports the median one.
pub(crate) async fn run(peer: &str, workload: &Workload, local: &impl Peer, server: Option<u32>) -> Done {
    let rounds = tokio::time::timeout(LIMIT, rounds(workload, local, server));
    let (n, mut rounds) = rounds.await.map_err(|_| format!("no end after {LIMIT:?}"))??;
    rounds.sort_by(|a, b| a.per_sec.total_cmp(&b.per_sec));
    let (min, max) = (rounds[0].per_sec, rounds[rounds.len() - 1].per_sec);
    let mut median = rounds.swap_remove(rounds.len() / 2);
    median.latencies.sort_unstable();
    let latency = |quantile: f64| {
        let last = median.latencies.len().checked_sub(1)?;
        Some(round(median.latencies[((last + 1) as f64 * quantile).min(last as f64) as usize] as f64 / 1e3))
    };
    report(serde_json::json!({
        "peer": peer,
        "mode": match workload.mode { Mode::Rtt => "rtt", Mode::Pipelined => "pipelined", Mode::Events => "events" },
        "payload": workload.payload,
        "concurrency": workload.in_flight(),
        "n": n,
        "secs": round(median.secs),
        "per_sec": round(median.per_sec),
        "per_sec_min": round(min),
        "per_sec_max": round(max),
        "p50_us": latency(0.5),
        "p99_us": latency(0.99),
        "max_us": latency(1.0),
        "client_cpu_s": round(median.client_cpu),
        "server_cpu_s": median.server_cpu.map(round),
        "rss_mb_client": memory(std::process::id()),
        "rss_mb_server": server.map(memory),
    }));
    Ok(())
}

/// A text of that many bytes.
pub(crate) fn text(length: usize) -> String {
    ('a'..='z').chain('0'..='9').cycle().take(length).collect()
}

struct Round {
    secs: f64,
    per_sec: f64,
    latencies: Vec<u64>,
    client_cpu: f64,
    server_cpu: Option<f64>,
}

async fn rounds(workload: &Workload, local: &impl Peer, server: Option<u32>) -> Result<(usize, Vec<Round>)> {
    let text = text(workload.payload);
    let least = workload.in_flight().max(16);
    let n = match workload.n {
        Some(n) => {
            once(workload, local, least, &text).await?;
            n
        }
        None => {
            ((rate(workload, local, least, &text).await? * workload.ms as f64 / 1e3) as usize).clamp(least, 8_000_000)
        }
    };
    let mut rounds = vec![];
    for _ in 0..workload.rounds.max(1) {
        let before = (cpu(std::process::id()), server.map(cpu));
        let began = Instant::now();
        let latencies = once(workload, local, n, &text).await?;
        let secs = began.elapsed().as_secs_f64();
        rounds.push(Round {
            secs,
            per_sec: n as f64 / secs,
            latencies,
            client_cpu: cpu(std::process::id()) - before.0,
            server_cpu: server.map(|pid| cpu(pid) - before.1.unwrap_or(0.0)),
        });
    }
    Ok((n, rounds))
}

/// Operations per second. Doubles them until a run is long enough to measure that, which also warms up.
async fn rate(workload: &Workload, local: &impl Peer, least: usize, text: &str) -> Result<f64> {
    let mut n = least;
    loop {
        let began = Instant::now();
        once(workload, local, n, text).await?;
        let secs = began.elapsed().as_secs_f64();
        if secs > 0.1 || n >= 1 << 22 {
            return Ok(n as f64 / secs);
        }
        n *= 2;
    }
}

async fn once(workload: &Workload, local: &impl Peer, n: usize, text: &str) -> Result<Vec<u64>> {
    match workload.mode {
        Mode::Events => local.events(n, text).await.map(|()| vec![]),
        Mode::Rtt | Mode::Pipelined => calls(local, n, workload.in_flight(), text).await,
    }
}

/// `n` echoes, `in_flight` at a time; returns the latency of each in nanoseconds.
async fn calls(local: &impl Peer, n: usize, in_flight: usize, text: &str) -> Result<Vec<u64>> {
    let (latencies, started) = (RefCell::new(Vec::with_capacity(n)), Cell::new(0));
    let worker = async || -> Result<()> {
        // Sends the returned text again, so that only the transport's copies are measured.
        let mut back = text.to_owned();
        while started.get() < n {
            started.set(started.get() + 1);
            let at = Instant::now();
            back = local.echo(back).await?;
            latencies.borrow_mut().push(at.elapsed().as_nanos() as u64);
            if back != text {
                return Err("the echo was changed".into());
            }
        }
        Ok(())
    };
    match in_flight {
        1 => worker().await?,
        _ => drop(futures_util::future::try_join_all((0..in_flight).map(|_| worker())).await?),
    }
    Ok(latencies.into_inner())
}

pub(crate) fn round(figure: f64) -> f64 {
    (figure * 1e3).round() / 1e3
}

/// Seconds of processor time that a process's live threads have used.
fn cpu(pid: u32) -> f64 {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanoseconds = |thread: std::fs::DirEntry| -> Option<f64> {
        std::fs::read_to_string(thread.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    threads.filter_map(nanoseconds).sum::<f64>() / 1e9
}

/// The peak memory of a process, in MB.
fn memory(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let high_water =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse::<f64>().ok());
    round(high_water.unwrap_or(0.0) / 1024.0)
}
