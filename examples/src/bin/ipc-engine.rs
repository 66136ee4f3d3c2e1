//! An engine that starts a program as its plugin and runs a script against it, with a plugin `local` beside it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use connector_core::Engine;
use connector_core::conformance::{SCRIPT, Script, run_script};
use examples::{Done, report};
use transport_ipc::{ChannelKind, Program};

/// Starts a program as the plugin `probe`, runs a script against it and prints a line of JSON for each step.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The program to start.
    #[arg(long)]
    exec: PathBuf,
    /// An argument for the program; may be given several times.
    #[arg(long, allow_hyphen_values = true)]
    arg: Vec<String>,
    /// How to talk to it.
    #[arg(long, value_enum, default_value_t = Kind::Stdio)]
    channel: Kind,
    /// A JSON array of steps; without it, the script that the published packages are tried with.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

#[derive(ValueEnum, Clone, Copy)]
enum Kind {
    /// Lines on its standard input and output.
    Stdio,
    /// The IPC channel of Node's `fork`.
    Node,
    /// A local socket.
    Local,
}

fn main() -> ExitCode {
    examples::run(drive(Args::parse()))
}

async fn drive(args: Args) -> Done {
    let script = match &args.script {
        Some(file) => {
            std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?
        }
        None => SCRIPT.to_owned(),
    };
    let channel = match args.channel {
        Kind::Stdio => ChannelKind::Stdio,
        Kind::Node => ChannelKind::Node,
        Kind::Local => ChannelKind::Local,
    };
    let engine = Engine::new();
    engine.register(transport_ipc::child("probe", Program::new(args.exec).args(args.arg).channel(channel)))?;
    run_script(&engine, &Script::parse(&script)?, report).await?;
    engine.shutdown().await;
    Ok(())
}
