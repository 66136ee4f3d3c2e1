//! A storm on one websocket: a proxy between an engine and a plugin cuts, stalls or garbles the link once, at any byte
//! and in either direction. Nothing may hang, and after each fault the link must recover on its own.
//!
//! Prints a line for each fault with lasting effects, and a table. Fails if there was one.

use std::process::Stdio;
use std::time::{Duration, Instant};

use conformance::probe;
use connector_core::{ClientConfig, Engine, Plugin, PluginClient, serve};
use examples::{Done, report};
use futures_util::stream::{self, StreamExt};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;
use transport_ws::{WsServer, WsServerConfig};

use crate::proxy::{Direction, Fault, Kind, Proxy};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The byte offsets at which to break the stream; by default a range from the upgrade to the calls.
    #[arg(long, value_delimiter = ',')]
    at: Vec<u64>,
    /// How to break it. Some garbled frames kill the published plugin's process, so test it with the other kinds only.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Kind::Cut, Kind::Stall, Kind::Garble])]
    kind: Vec<Kind>,
    /// A command that serves the plugin `probe` and prints its `ready` line; by default this process serves it.
    #[arg(long)]
    plugin: Option<String>,
    /// Faults at a time.
    #[arg(long, default_value_t = 24)]
    side_by_side: usize,
}

/// The limit for recovery: a silent link is detected after 20 s, a garbled length at worst after twice that.
const HEALED_WITHIN: Duration = Duration::from_secs(75);
/// The limit of the queue for a call, and of the activation.
const NO_CALL_LONGER_THAN: Duration = Duration::from_secs(30);

pub(crate) async fn storm(args: Args) -> Done {
    let at = match args.at.is_empty() {
        false => args.at.clone(),
        true => vec![0, 1, 60, 128, 129, 130, 131, 150, 250, 350, 500, 700, 900],
    };
    let (url, _process) = plugin(args.plugin.as_deref()).await?;
    let faults: Vec<Fault> = args
        .kind
        .iter()
        .flat_map(|&kind| [Direction::ToPlugin, Direction::ToEngine].map(|direction| (kind, direction)))
        .flat_map(|(kind, direction)| at.iter().map(move |&at| Fault { kind, direction, at }))
        .collect();
    let began = Instant::now();
    let ends: Vec<_> = stream::iter(faults)
        .map(|fault| {
            let url = url.clone();
            async move { (fault, tokio::spawn(one(fault, url)).await) }
        })
        .buffer_unordered(args.side_by_side.max(1))
        .collect()
        .await;
    let mut table = crate::table(["fault", "times", "healed", "slowest"]);
    let mut harmed = 0;
    for &kind in &args.kind {
        let of_kind = ends.iter().filter(|(fault, _)| fault.kind == kind);
        let (mut times, mut healed, mut slowest) = (0, 0, Duration::ZERO);
        for (fault, end) in of_kind {
            times += 1;
            match end {
                Ok(Ok(took)) => (healed, slowest) = (healed + 1, slowest.max(*took)),
                Ok(Err(why)) => report(format_args!("{fault}: {why}")),
                Err(panic) => report(format_args!("{fault}: {panic}")),
            }
        }
        harmed += times - healed;
        table.add_row([
            format!("{kind:?}"),
            times.to_string(),
            healed.to_string(),
            format!("{:.1} s", slowest.as_secs_f64()),
        ]);
    }
    report(format_args!("{table}\n{} faults in {:.0} s", ends.len(), began.elapsed().as_secs_f64()));
    match harmed {
        0 => Ok(()),
        harmed => Err(format!("{harmed} faults had lasting effects").into()),
    }
}

/// The plugin's URL, and its process if it runs in another one.
async fn plugin(command: Option<&str>) -> Result<(String, Option<Child>), Box<dyn std::error::Error>> {
    let Some(command) = command else {
        // A stalled connection counts until its silence is detected.
        let config = WsServerConfig::default().max_connections(10_000).max_handshakes(10_000);
        let server = WsServer::bind("127.0.0.1:0", config).await?;
        let url = server.url();
        tokio::spawn(serve(server, probe, ClientConfig::default()));
        return Ok((url, None));
    };
    let mut words = command.split_whitespace();
    let mut command = Command::new(words.next().ok_or("--plugin needs a command")?);
    let mut child = command.args(words).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(child.stdout.take().ok_or("no stdout")?).lines();
    let ready = lines.next_line().await?.ok_or("it ended without output")?;
    // Keeps reading, because a closed pipe may end the program.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    let ready: serde_json::Value = serde_json::from_str(&ready)?;
    let url = ready["url"].as_str().ok_or("its first line contains no url")?.to_owned();
    Ok((url, Some(child)))
}

/// Injects one fault and returns the time until everything works again.
async fn one(fault: Fault, url: String) -> Result<Duration, String> {
    let proxy = Proxy::start(&url, Some(fault)).await.map_err(|error| error.to_string())?;
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local").method("echo", |n: u64| async move { n })).map_err(text)?;
    engine.register(transport_ws::plugin("probe", &proxy.url)).map_err(text)?;
    engine.manager().activate("local").await.map_err(text)?;
    let began = Instant::now();
    let healed = async {
        timeout(NO_CALL_LONGER_THAN, engine.manager().activate("probe"))
            .await
            .map_err(|_| "the activation hangs")?
            .map_err(text)?;
        let mut well = 0;
        // Recovered: the fault was injected, and three exchanges in a row succeed.
        while well < 3 {
            well = match timeout(NO_CALL_LONGER_THAN, exchange(&local)).await.map_err(|_| "a call hangs")? {
                true if proxy.has_struck() => well + 1,
                true => 0,
                false => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    0
                }
            };
        }
        Ok(began.elapsed())
    };
    let outcome = timeout(HEALED_WITHIN, healed).await.unwrap_or_else(|_| Err("not recovered".to_owned()));
    let ended = timeout(NO_CALL_LONGER_THAN, engine.shutdown()).await;
    ended.map_err(|_| "the shutdown hangs".to_owned()).and(outcome)
}

/// A call each way, whose results reveal any changed byte.
async fn exchange(local: &PluginClient) -> bool {
    let text = "the quick brown fox".to_owned();
    let echoed = local.call::<String>("probe", "echo", (text.clone(),)).await;
    let relayed = local.call::<u64>("probe", "relay", ("local", "echo", 7)).await;
    echoed.is_ok_and(|echoed| echoed == text) && relayed.is_ok_and(|relayed| relayed == 7)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}
