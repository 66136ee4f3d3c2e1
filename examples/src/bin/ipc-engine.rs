//! An engine that starts a program as its plugin and runs a script against it, with a plugin `local` in its process.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use examples::Steps;
use transport_ipc::{ChannelKind, Program};

/// Starts a program as the plugin `probe`, runs a script against it and prints a line of JSON for each step.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The program to start.
    #[arg(long)]
    exec: PathBuf,
    /// An argument for the program; may be given several times.
    #[arg(long, allow_hyphen_values = true)]
    arg: Vec<String>,
    /// The channel to it.
    #[arg(long, value_enum, default_value_t = Kind::Stdio)]
    channel: Kind,
    #[command(flatten)]
    steps: Steps,
}

#[derive(ValueEnum, Clone, Copy)]
enum Kind {
    /// Lines on its standard input and output.
    Stdio,
    /// The IPC channel of Node's `fork`.
    Node,
    /// A local socket.
    Local,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let channel = match args.channel {
        Kind::Stdio => ChannelKind::Stdio,
        Kind::Node => ChannelKind::Node,
        Kind::Local => ChannelKind::Local,
    };
    let program = Program::new(args.exec).args(args.arg).channel(channel);
    examples::run(examples::drive(transport_ipc::child("probe", program), args.steps))
}
