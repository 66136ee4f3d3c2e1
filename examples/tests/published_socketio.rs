//! The scripts over socket.io, in all four pairings with the published packages: the engines print the same lines.
#![cfg(feature = "socketio")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{End, Plugin, SOCKETIO_PLUGIN, assert_same, assert_scripts_match, bundled, expected, output};

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
    assert_same("native", &run(OUR_PLUGIN, OUR_ENGINE, &bundled()), &expected());
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn with_a_published_end() {
    assert_scripts_match((OUR_PLUGIN, OUR_ENGINE), (THEIR_PLUGIN, THEIR_ENGINE), |_| expected(), run);
}
