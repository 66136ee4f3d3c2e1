//! How costs grow. Each theme measures in rounds in which the rows of a table take turns, so that other load on the machine
//! affects all of them alike; a ratio is the median of the rounds' ratios.

mod calls;
mod listeners;
mod memory;
mod plugin;
mod replicas;
mod system;
mod table;
mod two_hops;

use std::time::{Duration, Instant};

use clap::ValueEnum;
use clap::builder::PossibleValue;
use connector_core::{Engine, Plugin, PluginClient, PluginOptions};
use examples::Done;
use tokio::process::Command;

pub(crate) use self::plugin::methods;
use self::table::Table;
use crate::Threads;
use crate::measure::{Result, Server};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The themes to measure; all by default.
    #[arg(value_enum)]
    theme: Option<Theme>,
    /// Rounds, of which the median, the minimum and the maximum are reported.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How long a timed round takes for each row, in milliseconds.
    #[arg(long, default_value_t = 200)]
    ms: u64,
    /// Prints each row as a line of JSON instead of tables.
    #[arg(long)]
    json: bool,
}

#[derive(ValueEnum, Clone, Copy)]
enum Theme {
    /// The time of a call in this process, with 1 to 10,000 plugins active.
    Calls,
    /// The time of an event, with 1 to 1,000 local listeners and 1 to 100 behind links, and how often it is serialized.
    Listeners,
    /// The engine's memory for an idle plugin behind a websocket. Linux only.
    Idle,
    /// The engine's memory for a pending call. Linux only.
    Pending,
    /// The time of a call to a plugin with 1 to 1,000 replicas behind links in memory.
    Replicas,
    /// The time of a call from one plugin behind a websocket to another, and from this process to such a plugin. The
    /// three processes share one processor (on Linux; elsewhere, pin them yourself).
    TwoHops,
}

/// The time a theme may take in addition to its rounds: starting, warming up, connecting.
const BESIDE: Duration = Duration::from_secs(120);
/// The maximum number of rows of a theme.
const MOST_ROWS: u32 = 16;

pub(crate) async fn run(args: Args) -> Done {
    let Some(theme) = args.theme else { return each_in_a_process(&args).await };
    let pace = Pace { rounds: args.rounds.max(1), round: Duration::from_millis(args.ms) };
    let limit = pace.round.saturating_mul(MOST_ROWS.saturating_mul(u32::try_from(pace.rounds)?)).saturating_add(BESIDE);
    let measured = async {
        match theme {
            Theme::Calls => calls::measure(pace).await,
            Theme::Listeners => listeners::measure(pace).await,
            Theme::Idle => memory::idle(pace.rounds).await,
            Theme::Pending => memory::pending(pace.rounds).await,
            Theme::Replicas => replicas::measure(pace).await,
            Theme::TwoHops => two_hops::measure(pace).await,
        }
    };
    let table: Table = tokio::time::timeout(limit, measured).await.map_err(|_| format!("no end after {limit:?}"))??;
    table.print(args.json);
    Ok(())
}

/// Runs each theme in its own process: memory released by one theme would be reused by the next, unnoticed.
async fn each_in_a_process(args: &Args) -> Done {
    for theme in Theme::value_variants() {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["scale", "--rounds", &args.rounds.to_string(), "--ms", &args.ms.to_string()]);
        command.args(args.json.then_some("--json")).args(theme.to_possible_value().iter().map(PossibleValue::get_name));
        let status = command.kill_on_drop(true).status().await?;
        if !status.success() {
            return Err(format!("{command:?} ended with {status}").into());
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
struct Pace {
    rounds: usize,
    /// The target duration of a round for one row.
    round: Duration,
}

impl Pace {
    /// How often to repeat work of the duration `once` to fill a round.
    fn times(self, once: Duration) -> usize {
        (self.round.as_secs_f64() / once.as_secs_f64().max(1e-9)) as usize + 1
    }
}

/// An engine with a plugin `local` in this process, and `a` and `b`, each behind a websocket in its own process.
struct Trio {
    engine: Engine,
    local: PluginClient,
    _processes: [Server; 2],
}

impl Trio {
    async fn start() -> Result<Trio> {
        let processes = [Server::start("ws", Threads::Current).await?, Server::start("ws", Threads::Current).await?];
        let options = PluginOptions::default().concurrency(usize::MAX).queue_timeout(BESIDE);
        let engine = Engine::new();
        let local = engine.register(Plugin::new("local"))?;
        engine.manager().activate("local").await?;
        for (name, process) in ["a", "b"].into_iter().zip(&processes) {
            engine.register(transport_ws::plugin(name, &process.address).options(options.clone()))?;
            engine.manager().activate(name).await?;
        }
        Ok(Trio { engine, local, _processes: processes })
    }
}

/// Measures how long some work takes.
async fn timed(work: impl Future<Output = Result<()>>) -> Result<Duration> {
    let began = Instant::now();
    work.await?;
    Ok(began.elapsed())
}

/// Prints progress to standard error.
#[allow(clippy::print_stderr, reason = "progress for an interactive user")]
fn progress(line: std::fmt::Arguments<'_>) {
    eprintln!("{line}");
}
