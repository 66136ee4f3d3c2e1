//! An engine that dials a plugin behind socket.io and runs a script against it, with a plugin `local` beside it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Runs a script against the plugin `probe` at a socket.io URL and prints a line of JSON for each step.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where the plugin listens, for example http://127.0.0.1:4000; the path is the namespace.
    #[arg(long)]
    url: String,
    /// A JSON array of steps; without it, the script that the published packages are tried with.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run(async move {
        examples::drive(transport_socketio::plugin("probe", &args.url), args.script.as_deref()).await
    })
}
