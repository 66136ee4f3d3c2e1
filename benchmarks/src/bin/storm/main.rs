//! Storms: stress tests with broken links and killed processes. Each fault may affect only its target.

#[cfg(target_os = "linux")]
mod attack;
#[cfg(target_os = "linux")]
mod children;
mod json;
#[cfg(target_os = "linux")]
mod lifecycle;
mod link;
#[cfg(target_os = "linux")]
mod processes;
mod proxy;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use comfy_table::{Row, Table, presets};

/// Breaks links and kills plugins, and checks that nothing else is affected.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    storm: Storm,
}

#[derive(Subcommand)]
enum Storm {
    /// Breaks a websocket link in every way, and checks that it recovers.
    Link(link::Args),
    /// Starts and kills a plugin's process repeatedly, and checks that every call ends and nothing is left behind. Linux
    /// only, because it reads /proc.
    Children(ChildrenArgs),
    /// Activates, deactivates, removes and loses plugins on all transports at once, and checks that each request ends, that
    /// each plugin reaches the state of its last request, and that nothing is left behind. Linux only, because it reads
    /// /proc.
    Lifecycle(LifecycleArgs),
    /// Attacks servers, hubs, engines and plugins in their default configuration, and checks what that costs them and their
    /// well-behaved clients. Linux only, because it reads /proc.
    #[cfg(target_os = "linux")]
    Attack(attack::Args),
    /// The process that `attack` attacks.
    #[cfg(target_os = "linux")]
    #[command(hide = true)]
    Victim(attack::victim::VictimArgs),
    /// Reads mutated frames and writes random values, and compares with serde_json.
    Json(json::Args),
}

#[derive(clap::Args)]
struct ChildrenArgs {
    /// How many processes to start over each channel.
    #[arg(long, default_value_t = 500)]
    times: usize,
    /// The channel between the engine and the process.
    #[arg(long, value_enum, default_value_t = Channels::All)]
    channel: Channels,
    /// Repeats the choices of a run, if not its timing; by default a new one, which is printed.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(clap::Args)]
struct LifecycleArgs {
    /// How many requests.
    #[arg(long, default_value_t = 100_000)]
    n: usize,
    /// How many plugins; from 25 on, all transports have some.
    #[arg(long, default_value_t = 50)]
    plugins: usize,
    /// Requests at a time.
    #[arg(long, default_value_t = 64)]
    side_by_side: usize,
    /// Repeats the choices of a run, if not its timing; by default a new one, which is printed.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(ValueEnum, Clone, Copy, PartialEq, Eq)]
enum Channels {
    /// Lines on standard input and output.
    Stdio,
    /// The IPC channel of Node's `fork`.
    Node,
    /// A local socket.
    Local,
    /// One after another.
    All,
}

/// An empty table of results.
fn table(header: impl Into<Row>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY).set_header(header);
    table
}

fn main() -> ExitCode {
    let Args { storm } = Args::parse();
    let traces = match storm {
        // Each deliberate fault is traced as a warning,
        Storm::Link(_) | Storm::Children(_) => "error",
        // and each deliberate failure of a hook as an error.
        Storm::Lifecycle(_) | Storm::Json(_) => "off",
        // The attacker's own engines and plugins lose links; the victim's traces are counted.
        #[cfg(target_os = "linux")]
        Storm::Attack(_) => "off",
        #[cfg(target_os = "linux")]
        Storm::Victim(_) => "warn",
    };
    examples::run_quietly(traces, async move {
        match storm {
            Storm::Link(args) => link::storm(args).await,
            #[cfg(target_os = "linux")]
            Storm::Children(args) => children::storm(args).await,
            #[cfg(target_os = "linux")]
            Storm::Lifecycle(args) => lifecycle::storm(args).await,
            #[cfg(not(target_os = "linux"))]
            Storm::Children(_) | Storm::Lifecycle(_) => {
                Err("leaked processes are detected through /proc, which exists on Linux only".into())
            }
            Storm::Json(args) => json::storm(args),
            #[cfg(target_os = "linux")]
            Storm::Attack(args) => attack::storm(args).await,
            #[cfg(target_os = "linux")]
            Storm::Victim(args) => attack::victim::run(args).await,
        }
    })
}
