//! A plugin in a child process: serves `probe` to the engine that started this program, over whichever channel that engine
//! chose.

use std::process::ExitCode;

use clap::Parser;
use conformance::probe;
use connector_core::LinkEnd;
use examples::interrupted;
use transport_ipc::Channel;

/// Serves the plugin `probe` to the engine that started this program. Not meant to be started by hand: it uses Node's
/// channel (NODE_CHANNEL_FD), a local socket (PLUGIN_SOCKET), or its standard input and output.
#[derive(Parser)]
#[command(version)]
struct Args {}

fn main() -> ExitCode {
    Args::parse();
    // Must run before the runtime starts threads, because taking the channel changes the environment.
    let channel = Channel::find();
    examples::run(async move {
        match channel?.serve(probe()).until(interrupted()).await {
            // The engine closed the channel or ended, or this program was interrupted.
            LinkEnd::Closed { .. } | LinkEnd::Disconnected => Ok(()),
            end => Err(end.into()),
        }
    })
}
