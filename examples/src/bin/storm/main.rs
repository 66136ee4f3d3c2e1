//! Storms on what plugins live on: links that break, processes that die. Each fault may harm what it hits, and no more.

#[cfg(target_os = "linux")]
mod children;
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
    // What it breaks and kills is told as a warning each time.
    examples::run_quietly(async move {
        match storm {
            Storm::Link(args) => link::storm(args).await,
            Storm::Children(args) => children(args).await,
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
