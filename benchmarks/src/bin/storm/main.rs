//! Storms on what plugins live on: links that break, processes that die. Each fault may harm what it hits, and no more.

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
use examples::Done;

/// Breaks links and kills plugins, and sees that nothing else comes to harm.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    storm: Storm,
}

#[derive(Subcommand)]
enum Storm {
    /// Breaks a websocket link in every way, and sees that it heals.
    Link(link::Args),
    /// Starts and kills a plugin's process over and over, and sees that every call ends and nothing is left behind. Linux
    /// only, since it looks into /proc.
    Children(ChildrenArgs),
    /// Activates, deactivates, removes and loses plugins on all transports at once, and sees that each request ends, that
    /// each plugin becomes what the last one said, and that nothing is left. Linux only, since it looks into /proc.
    Lifecycle(LifecycleArgs),
    /// Reads mutated frames and writes random values, and compares with serde_json.
    Json(json::Args),
}

#[derive(clap::Args)]
struct ChildrenArgs {
    /// How many processes to start over each channel.
    #[arg(long, default_value_t = 500)]
    times: usize,
    /// How the engine and the process talk.
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

fn main() -> ExitCode {
    let Args { storm } = Args::parse();
    let traces = match storm {
        // What it breaks and kills is told as a warning each time,
        Storm::Link(_) | Storm::Children(_) => "error",
        // and a hook that fails on purpose as an error.
        Storm::Lifecycle(_) | Storm::Json(_) => "off",
    };
    examples::run_quietly(traces, async move {
        match storm {
            Storm::Link(args) => link::storm(args).await,
            Storm::Children(args) => children(args).await,
            Storm::Lifecycle(args) => lifecycle(args).await,
            Storm::Json(args) => json::storm(args),
        }
    })
}

#[cfg(target_os = "linux")]
async fn children(args: ChildrenArgs) -> Done {
    children::storm(args).await
}

#[cfg(not(target_os = "linux"))]
async fn children(_: ChildrenArgs) -> Done {
    Err("what is left of processes is found by way of /proc, which is Linux's".into())
}

#[cfg(target_os = "linux")]
async fn lifecycle(args: LifecycleArgs) -> Done {
    lifecycle::storm(args).await
}

#[cfg(not(target_os = "linux"))]
async fn lifecycle(_: LifecycleArgs) -> Done {
    Err("what is left of processes is found by way of /proc, which is Linux's".into())
}
