//! An engine that dials a plugin behind a websocket and runs a script against it, with a plugin `local` beside it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use connector_core::Engine;
use connector_core::conformance::{SCRIPT, Script, run_script};
use examples::{Done, report};

/// Runs a script against the plugin `probe` at a websocket URL and prints a line of JSON for each step.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where the plugin listens, for example ws://127.0.0.1:4000.
    #[arg(long)]
    url: String,
    /// A JSON array of steps; without it, the script that the published packages are tried with.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
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
    let engine = Engine::new();
    engine.register(transport_ws::plugin("probe", &args.url))?;
    run_script(&engine, &Script::parse(&script)?, report).await?;
    engine.shutdown().await;
    Ok(())
}
