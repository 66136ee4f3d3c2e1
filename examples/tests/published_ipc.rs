//! The script over all four pairings with the published packages on Node's channel, and over the native channels: the
//! engines print the same lines.
#![cfg(feature = "ipc")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{
    End, IPC_ENGINE, IPC_PLUGIN, assert_more_steps_match, assert_same, bundled, expected, js, more, output,
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

fn bundled_script(plugin: End, engine: End, channel: &str) {
    if (plugin, engine) != (OUR_PLUGIN, OUR_ENGINE) {
        published_packages();
    }
    assert_same(&run(plugin, engine, channel, &bundled()), &expected());
}

fn more_steps_over(channel: &str) {
    published_packages();
    assert_same(&run(OUR_PLUGIN, OUR_ENGINE, channel, &more()), &run(THEIR_PLUGIN, THEIR_ENGINE, "node", &more()));
}

#[test]
fn native_engine_and_native_plugin() {
    bundled_script(OUR_PLUGIN, OUR_ENGINE, "node");
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn native_engine_and_published_plugin() {
    bundled_script(THEIR_PLUGIN, OUR_ENGINE, "node");
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn published_engine_and_native_plugin() {
    bundled_script(OUR_PLUGIN, THEIR_ENGINE, "node");
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn published_engine_and_published_plugin() {
    bundled_script(THEIR_PLUGIN, THEIR_ENGINE, "node");
}

#[test]
fn native_pair_over_stdio() {
    bundled_script(OUR_PLUGIN, OUR_ENGINE, "stdio");
}

#[test]
fn native_pair_over_a_local_socket() {
    bundled_script(OUR_PLUGIN, OUR_ENGINE, "local");
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn more_steps_over_nodes_channel() {
    let over_node = |plugin, engine, script: &Path| run(plugin, engine, "node", script);
    assert_more_steps_match((OUR_PLUGIN, OUR_ENGINE), (THEIR_PLUGIN, THEIR_ENGINE), over_node);
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn more_steps_over_stdio() {
    more_steps_over("stdio");
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn more_steps_over_a_local_socket() {
    more_steps_over("local");
}
