//! The tour of replicas: an engine in this process, replicas of a plugin in others, and a NATS server between them.
//!
//! `replica.rs` is the plugin author's code, `host.rs` the host author's; `load.rs` calls while replicas restart.

#[path = "../../../../transport-nats/tests/common/broker.rs"]
mod broker;
mod host;
mod load;
mod replica;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Shows in a few seconds what replicas of a plugin behind a NATS server do: calls that they share, a replica killed in mid-call,
/// a rolling restart under load, a restart of the server, another engine that borrows the plugin.
///
/// The exit code is 0 if every step ended as it should.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    role: Option<Role>,
    /// A NATS server that runs, for example nats://127.0.0.1:4222. Without it, the tour starts one, on a free port: the program
    /// that the variable NATS_SERVER names, or `nats-server`.
    #[arg(long, env = "NATS_URL", hide_env_values = true, global = true)]
    server: Option<String>,
}

#[derive(Subcommand)]
enum Role {
    /// Serves a replica of the tour's plugin in a separate process; the tour starts these itself.
    Replica {
        /// The replica's id.
        id: String,
        /// The first tokens of every subject.
        #[arg(long)]
        prefix: String,
    },
}

fn main() -> ExitCode {
    let Args { role, server } = Args::parse();
    // Losses are part of the tour.
    match role {
        Some(Role::Replica { id, prefix }) => examples::run_quietly("error", replica::serve(id, server, prefix)),
        None => examples::run_quietly("error", host::tour(server)),
    }
}
