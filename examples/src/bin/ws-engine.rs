//! An engine that dials a plugin behind a websocket and runs a script against it, with a plugin `local` in its process.

use std::process::ExitCode;

use clap::Parser;
use examples::Steps;

/// Runs a script against the plugin `probe` at a websocket URL and prints a line of JSON for each step.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where the plugin listens, for example ws://127.0.0.1:4000.
    #[arg(long)]
    url: String,
    #[command(flatten)]
    steps: Steps,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run(examples::drive(transport_ws::plugin("probe", &args.url), args.steps))
}
