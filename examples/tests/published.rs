//! The script over all four pairings with the published packages: the engines print the same lines.
#![cfg(feature = "ws")]

mod support;

use std::path::Path;

use serde_json::Value;
use support::{
    End, NATIVE_ENGINE, NATIVE_PLUGIN, Plugin, assert_more_steps_match, assert_same, bundled, output,
    published_packages,
};

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

fn bundled_script(plugin: End, engine: End) {
    if (plugin, engine) != (OUR_PLUGIN, OUR_ENGINE) {
        published_packages();
    }
    assert_same(&run(plugin, engine, &bundled()), &expected(plugin));
}

#[test]
fn native_engine_and_native_plugin() {
    bundled_script(OUR_PLUGIN, OUR_ENGINE);
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn native_engine_and_published_plugin() {
    bundled_script(THEIR_PLUGIN, OUR_ENGINE);
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn published_engine_and_native_plugin() {
    bundled_script(OUR_PLUGIN, THEIR_ENGINE);
}

#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn published_engine_and_published_plugin() {
    bundled_script(THEIR_PLUGIN, THEIR_ENGINE);
}

/// Refusals, the manager, `once`, double listeners, odd arguments: all pairs behave as the published pair.
#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn more_steps_match_the_published_pair() {
    assert_more_steps_match((OUR_PLUGIN, OUR_ENGINE), (THEIR_PLUGIN, THEIR_ENGINE), run);
}
