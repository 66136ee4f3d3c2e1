//! The script over all four pairings with the published packages on Node's channel, and over the native channels: the
//! engines print the same lines.
#![cfg(feature = "ipc")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{
    End, IPC_ENGINE, IPC_PLUGIN, assert_same, assert_scripts_match, bundled, expected, js, more, output,
    published_packages,
};

const OUR_PLUGIN: End = End::Native(IPC_PLUGIN);
const OUR_ENGINE: End = End::Native(IPC_ENGINE);
const THEIR_PLUGIN: End = End::JavaScript("fork-plugin.js");
const THEIR_ENGINE: End = End::JavaScript("fork-engine.js");

fn run(plugin: End, engine: End, channel: &str, script: &Path) -> Vec<Value> {
    let mut command = engine.command();
    match (engine, plugin) {
        (End::Native(_), End::Native(program)) => command.args(["--channel", channel, "--exec", program]),
        (End::Native(_), End::JavaScript(file)) => {
            command.args(["--channel", channel, "--exec", "node", "--arg"]).arg(js().join(file))
        }
        (End::JavaScript(_), End::Native(program)) => command.args(["--exec", program]),
        (End::JavaScript(_), End::JavaScript(file)) => command.arg("--module").arg(js().join(file)),
    };
    let mut lines = output(command.arg("--script").arg(script));
    // The published engine's child prints to the same standard output that its service was not accepted.
    lines.retain(|line| line["event"] != "error");
    lines
}

fn over_node(plugin: End, engine: End, script: &Path) -> Vec<Value> {
    run(plugin, engine, "node", script)
}

#[test]
fn two_native_ends() {
    for channel in ["node", "stdio", "local"] {
        assert_same(channel, &run(OUR_PLUGIN, OUR_ENGINE, channel, &bundled()), &expected());
    }
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn with_a_published_end() {
    assert_scripts_match((OUR_PLUGIN, OUR_ENGINE), (THEIR_PLUGIN, THEIR_ENGINE), |_| expected(), over_node);
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn more_steps_over_the_native_channels() {
    published_packages();
    let published = run(THEIR_PLUGIN, THEIR_ENGINE, "node", &more());
    for channel in ["stdio", "local"] {
        assert_same(channel, &run(OUR_PLUGIN, OUR_ENGINE, channel, &more()), &published);
    }
}
