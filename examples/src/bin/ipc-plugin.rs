//! A plugin in a child process: serves `probe` to the engine that has started this program, over whichever channel that
//! engine has chosen.

use std::process::ExitCode;

use clap::Parser;
use conformance::probe;
use connector_core::LinkEnd;
use examples::interrupted;
use transport_ipc::Channel;

/// Serves the plugin `probe` to the engine that has started this program. Not to be started by hand: it speaks on Node's
/// channel (NODE_CHANNEL_FD), on a local socket (PLUGIN_SOCKET), or on its standard input and output.
#[derive(Parser)]
#[command(version)]
struct Args {}

fn main() -> ExitCode {
    Args::parse();
    // Before the runtime and its threads: taking the channel changes the environment.
    let channel = Channel::find();
    examples::run(async move {
        match channel?.serve(probe()).until(interrupted()).await {
            // The engine has closed the channel, or is gone, or this program was interrupted: there is nothing left to do.
            LinkEnd::Closed { .. } | LinkEnd::Disconnected => Ok(()),
            end => Err(end.into()),
        }
    })
}
