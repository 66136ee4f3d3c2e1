//! The same calculator in child processes, one for each kind of channel.

use std::process::ExitCode;

use connector_core::{Engine, PluginClient};
use examples::{Done, Show};
use transport_ipc::{Channel, ChannelKind, Program};

use crate::plugins::calculator;

/// The child's part. It finds its channel before the runtime starts.
pub(crate) fn serve(name: &str) -> ExitCode {
    let channel = Channel::find();
    examples::run(async {
        // The engine closes the channel when it no longer needs the plugin.
        channel?.serve(calculator(name)).await;
        Ok(())
    })
}

/// The engine's part: a program in place of a URL.
pub(crate) async fn show(engine: &Engine, local: &PluginClient, show: &mut Show) -> Done {
    let this_program = std::env::current_exe()?;
    for (name, channel, words) in [
        ("stdio-child", ChannelKind::Stdio, "lines on its standard input and output"),
        ("node-child", ChannelKind::Node, "Node's own IPC channel"),
        ("socket-child", ChannelKind::Local, "a local socket"),
    ] {
        let program = Program::new(&this_program).args(["child", name]).channel(channel);
        engine.register(transport_ipc::child(name, program))?;
        // The call activates the plugin, which starts the process.
        let sum = local.call::<f64>(name, "add", (20, 22)).await;
        show.step(&format!("a calculator in a child process, over {words}"), sum);
    }
    Ok(())
}
