//! An engine that runs a script against a plugin in a thread or a task, with a plugin `local` in its process.

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use conformance::probe;
use examples::Steps;
use transport_worker::{Placement, WorkerConfig, worker_with};

/// Starts the plugin `probe` in this process, runs a script against it and prints a line of JSON for each step.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where the plugin runs.
    #[arg(long, value_enum, default_value_t = Place::Thread)]
    placement: Place,
    #[command(flatten)]
    steps: Steps,
}

#[derive(ValueEnum, Clone, Copy)]
enum Place {
    /// In its own thread.
    Thread,
    /// In a task on the engine's runtime.
    Task,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let config = WorkerConfig::default().placement(match args.placement {
        Place::Thread => Placement::Thread,
        Place::Task => Placement::Task,
    });
    examples::run(examples::drive(worker_with("probe", probe, config), args.steps))
}
