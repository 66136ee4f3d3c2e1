//! The command `connector`: starts an engine with the given plugins, lists what they expose, calls their methods and prints
//! their events.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod commands;
mod completion;
mod failure;
mod hint;
mod host;
mod host_file;
mod interrupt;
mod loans;
#[cfg_attr(not(feature = "nats"), path = "without_nats.rs")]
mod nats;
mod output;
mod place;
mod recording;
mod settings;
mod target;
mod viewer;
mod watch;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::commands::Command;
use crate::failure::{EXIT_CODES, Failure};

const COMPLETION: &str = "\
Completion of options, plugins and methods:
  bash and zsh  source <(COMPLETE=bash connector), or COMPLETE=zsh
  fish          COMPLETE=fish connector | source";

/// Inspects and calls plugins: lists their methods, calls them, prints their events. Runs them as a host.
///
/// Plugins are given by URL, by the command that starts them, or in a host file. A running engine is given by its inspector's URL:
///
///     connector ls --plugin editor=ws://127.0.0.1:4000 --plugin calc='python3 plugin.py'
///     connector call calc add 1 2 --host host.toml
///     connector listen plugin saved --channel node -- node plugin.js
///     connector stats --at 'http://127.0.0.1:4100/?token=…'
#[derive(Parser)]
#[command(name = "connector", version, after_help = format!("{EXIT_CODES}\n\n{COMPLETION}"), verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Prints JSON, for other programs.
    #[arg(long, global = true)]
    json: bool,
}

fn main() -> ExitCode {
    completion::run();
    let Cli { mut command, json } = Cli::try_parse().unwrap_or_else(|error| hint::with_hint(error).exit());
    // async-nats traces what this command prints, or what a plugin's link says.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error,async_nats=off"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let runtime = command.prepare().and_then(|()| {
        tokio::runtime::Runtime::new().map_err(|error| Failure::machine(format!("no runtime: {error}")))
    });
    match runtime.and_then(|runtime| runtime.block_on(command.run(json))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(json);
            failure.exit_code()
        }
    }
}
