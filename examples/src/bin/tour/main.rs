//! The tour: an engine here, plugins in processes of their own, and what passes between them over real websockets.
//!
//! `plugins.rs` is what plugin authors write, `host.rs` what a host's author writes; this file only shows it.

#[cfg(feature = "ipc")]
mod children;
mod host;
mod plugins;
mod show;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Shows in a few seconds what an engine and its plugins do: calls both ways, an event, a refusal, a cancelled call, a
/// link cut and healed.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Subcommand)]
enum Role {
    /// One of the tour's plugins, served over a websocket; the tour starts them itself.
    Plugin {
        /// `calculator` or `editor`.
        name: String,
        /// The port to listen on; 0 takes a free one, which is printed.
        #[arg(long, default_value_t = 0)]
        port: u16,
    },
    /// One of the tour's plugins in a child process; the tour's engine starts it itself.
    #[cfg(feature = "ipc")]
    Child,
}

fn main() -> ExitCode {
    match Args::parse().role {
        Some(Role::Plugin { name, port }) => examples::run(async move { plugins::serve(&name, port).await }),
        #[cfg(feature = "ipc")]
        Some(Role::Child) => children::serve(),
        None => examples::run(host::tour()),
    }
}
