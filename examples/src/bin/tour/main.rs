//! The tour: an engine here, plugins in processes of their own, and what passes between them over real websockets.
//!
//! `plugins.rs` is what plugin authors write, `host.rs` what a host's author writes; this file only shows it.

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
}

fn main() -> ExitCode {
    examples::run(async {
        match Args::parse().role {
            Some(Role::Plugin { name, port }) => plugins::serve(&name, port).await,
            None => host::tour().await,
        }
    })
}
