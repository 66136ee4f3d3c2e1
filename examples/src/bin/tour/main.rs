//! The tour: an engine in this process, plugins in other processes, and real websockets between them.
//!
//! `plugins.rs` is the plugin author's code, `host.rs` the host author's; this file only parses the arguments.

#[cfg(feature = "ipc")]
mod children;
#[cfg(any(feature = "socketio", feature = "worker"))]
mod elsewhere;
mod host;
mod plugins;

use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};

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
    /// Serves one of the tour's plugins in a separate process; the tour starts these itself.
    Plugin {
        /// `calculator` or `editor`.
        name: String,
        /// The port to listen on; 0 chooses a free one, which is printed.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// The transport.
        #[arg(long, value_enum, default_value_t = Over::Ws)]
        over: Over,
    },
    /// One of the tour's plugins in a child process; the tour's engine starts it itself.
    #[cfg(feature = "ipc")]
    Child {
        /// The name that the plugin is registered with.
        name: String,
    },
}

#[derive(ValueEnum, Clone, Copy)]
enum Over {
    Ws,
    #[cfg(feature = "socketio")]
    Socketio,
}

fn main() -> ExitCode {
    match Args::parse().role {
        Some(Role::Plugin { name, port, over }) => {
            examples::run(async move { plugins::serve(&name, port, over).await })
        }
        #[cfg(feature = "ipc")]
        Some(Role::Child { name }) => children::serve(&name),
        None => examples::run(host::tour()),
    }
}
