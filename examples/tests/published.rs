//! The script over all four pairings with the published packages: the engines print the same lines.
#![cfg(feature = "ws")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{End, NATIVE_ENGINE, NATIVE_PLUGIN, Plugin, assert_same, assert_scripts_match, bundled, output};

const OUR_PLUGIN: End = End::Native(NATIVE_PLUGIN);
const OUR_ENGINE: End = End::Native(NATIVE_ENGINE);
const THEIR_PLUGIN: End = End::JavaScript("ws-plugin.js");
const THEIR_ENGINE: End = End::JavaScript("ws-engine.js");

fn run(plugin: End, engine: End, script: &Path) -> Vec<Value> {
    let plugin = Plugin::start(plugin, 0);
    output(engine.command().arg("--url").arg(&plugin.url).arg("--script").arg(script))
}

/// The published websocket plugin never answers a call of a service's method, because it searches for `tools.ping` in a list
/// of bare names.
fn expected(plugin: End) -> Vec<Value> {
    let mut lines = support::expected();
    if plugin == THEIR_PLUGIN {
        lines[13] =
            serde_json::json!({ "step": 13, "do": "call", "error": "[TIMEOUT] Timeout for call ping from local" });
    }
    lines
}

#[test]
fn two_native_ends() {
    assert_same("native", &run(OUR_PLUGIN, OUR_ENGINE, &bundled()), &expected(OUR_PLUGIN));
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn with_a_published_end() {
    assert_scripts_match((OUR_PLUGIN, OUR_ENGINE), (THEIR_PLUGIN, THEIR_ENGINE), expected, run);
}
