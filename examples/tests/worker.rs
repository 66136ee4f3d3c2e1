//! The scripts with the plugin in a thread and in a task: the engines print the published lines.
#![cfg(feature = "worker")]

mod support;

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use support::{End, assert_same, bundled, expected, js, more, output, published_packages};

const PLACEMENTS: [&str; 2] = ["thread", "task"];

fn run(placement: &str, script: &Path) -> Vec<Value> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_worker-engine"));
    output(command.args(["--placement", placement, "--script"]).arg(script))
}

#[test]
fn the_bundled_script() {
    for placement in PLACEMENTS {
        assert_same(placement, &run(placement, &bundled()), &expected());
    }
}

/// Refusals, the manager, `once`, double listeners, odd arguments: this pair behaves as the published pair.
#[test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
fn more_steps() {
    published_packages();
    let mut engine = End::JavaScript("fork-engine.js").command();
    let mut published = output(engine.arg("--module").arg(js().join("fork-plugin.js")).arg("--script").arg(more()));
    published.retain(|line| line["event"] != "error");
    for placement in PLACEMENTS {
        assert_same(placement, &run(placement, &more()), &published);
    }
}
