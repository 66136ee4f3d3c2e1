//! An engine that reaches a plugin behind a NATS server and runs a script against it, with a plugin `local` in its process.

use std::process::ExitCode;

use clap::Parser;
use examples::Steps;
use transport_nats::NatsConfig;

/// Runs a script against the plugin `probe` behind a NATS server and prints a line of JSON for each step.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The NATS server, for example nats://127.0.0.1:4222, with a user and a password if it needs them.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    server: String,
    #[command(flatten)]
    steps: Steps,
}

fn main() -> ExitCode {
    let Args { server, steps } = Args::parse();
    examples::run(examples::drive(transport_nats::plugin("probe", NatsConfig::new(server)), steps))
}
