//! The scripts over socket.io, in all four pairings with the published packages: the engines print the same lines.
#![cfg(feature = "socketio")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{
    End, Plugin, SOCKETIO_PLUGIN, assert_more_steps_match, assert_same, bundled, expected, output, published_packages,
};

const OUR_PLUGIN: End = End::Native(SOCKETIO_PLUGIN);
const OUR_ENGINE: End = End::Native(env!("CARGO_BIN_EXE_socketio-engine"));
const THEIR_PLUGIN: End = End::JavaScript("socketio-plugin.js");
const THEIR_ENGINE: End = End::JavaScript("socketio-engine.js");

fn run(plugin: End, engine: End, script: &Path) -> Vec<Value> {
    let plugin = Plugin::start(plugin, 0);
    output(engine.command().arg("--url").arg(&plugin.url).arg("--script").arg(script))
}

#[test]
fn two_native_ends() {
    assert_same(&run(OUR_PLUGIN, OUR_ENGINE, &bundled()), &expected());
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn with_a_published_end() {
    published_packages();
    for (plugin, engine) in [(THEIR_PLUGIN, OUR_ENGINE), (OUR_PLUGIN, THEIR_ENGINE), (THEIR_PLUGIN, THEIR_ENGINE)] {
        assert_same(&run(plugin, engine, &bundled()), &expected());
    }
}

/// Refusals, the manager, `once`, double listeners, odd arguments: all pairs behave as the published pair.
#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn more_steps_match_the_published_pair() {
    assert_more_steps_match((OUR_PLUGIN, OUR_ENGINE), (THEIR_PLUGIN, THEIR_ENGINE), run);
}
