//! The command `connector`: starts an engine with the given plugins, lists what they expose, calls their methods and prints
//! their events.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod commands;
mod failure;
mod host;
mod output;
mod place;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::failure::{EXIT_CODES, Failure};
use crate::host::Plugins;

/// Sees plugins alive: what they expose, calls by hand, and events as they come.
///
/// Plugins are given by URL or by the command that starts them:
///
///     connector ls --plugin editor=ws://127.0.0.1:4000 --plugin calc='python3 plugin.py'
///     connector call calc add 1 2 --plugin calc='python3 plugin.py'
///     connector listen plugin saved --channel node -- node plugin.js
#[derive(Parser)]
#[command(name = "connector", version, after_help = EXIT_CODES, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the plugins and their methods.
    Ls {
        #[command(flatten)]
        shared: Shared,
    },
    /// Shows a plugin's profile and the state of its link.
    Info {
        /// The plugin's name; may be left out if there is only one.
        plugin: Option<String>,
        #[command(flatten)]
        shared: Shared,
    },
    /// Calls a method, and prints its result.
    Call {
        /// The plugin's name, or the path of one of its services.
        plugin: String,
        /// The method.
        method: String,
        /// The arguments: JSON, or else text.
        #[arg(allow_negative_numbers = true)]
        args: Vec<String>,
        #[command(flatten)]
        shared: Shared,
    },
    /// Prints the arguments of an event each time it occurs, until it is interrupted.
    Listen {
        /// The emitter's name.
        plugin: String,
        /// The event.
        event: String,
        /// Ends after this many events.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
        #[command(flatten)]
        shared: Shared,
    },
}

#[derive(Args)]
struct Shared {
    #[command(flatten)]
    plugins: Plugins,
    /// Prints JSON, for other programs.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let Cli { command } = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_writer(std::io::stderr).with_env_filter(filter).init();
    let json = match &command {
        Command::Ls { shared }
        | Command::Info { shared, .. }
        | Command::Call { shared, .. }
        | Command::Listen { shared, .. } => shared.json,
    };
    let runtime = tokio::runtime::Runtime::new().map_err(|error| Failure::usage(format!("no runtime: {error}")));
    match runtime.and_then(|runtime| runtime.block_on(run(command))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(json);
            failure.exit_code()
        }
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Ls { shared } => commands::ls(shared.plugins, shared.json).await,
        Command::Info { plugin, shared } => commands::info(shared.plugins, plugin, shared.json).await,
        Command::Call { plugin, method, args, shared } => {
            commands::call(shared.plugins, &plugin, &method, args, shared.json).await
        }
        Command::Listen { plugin, event, count, shared } => {
            commands::listen(shared.plugins, &plugin, &event, count).await
        }
    }
}
