//! An engine that dials a plugin behind socket.io and runs a script against it, with a plugin `local` in its process.

use std::process::ExitCode;

use clap::Parser;
use examples::Dial;

/// Runs a script against the plugin `probe` at a socket.io URL and prints a line of JSON for each step.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    dial: Dial,
}

fn main() -> ExitCode {
    let Dial { url, steps } = Args::parse().dial;
    examples::run(examples::drive(transport_socketio::plugin("probe", &url), steps))
}
