//! The published engine in a page of a real browser: it prints the same lines as in Node, and its origin must be allowed.
#![cfg(feature = "ws")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use support::{End, NATIVE_PLUGIN, Plugin, assert_same, expected, failure, free_port, output, published_packages};

/// The page's connector, and the plugin it dials.
const PLUGINS: &[(&str, End)] = &[
    ("ws", End::Native(NATIVE_PLUGIN)),
    #[cfg(feature = "socketio")]
    ("socketio", End::Native(support::SOCKETIO_PLUGIN)),
    ("socketio", End::JavaScript("socketio-plugin.js")),
];

/// A refused page fails well before this.
const SOON: Duration = Duration::from_secs(20);

fn engine(kind: &str, plugin: &Plugin, port: u16) -> Command {
    let mut command = End::JavaScript("browser-engine.js").command();
    command.args(["--plugin", kind, "--url", &plugin.url, "--origin-port", &port.to_string()]);
    command
}

/// One test, for one browser at a time.
#[test]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium and Node")]
fn only_pages_of_an_allowed_origin_connect() {
    published_packages();
    for &(kind, end) in PLUGINS {
        let (allowed, other) = (free_port(), free_port());
        let plugin = Plugin::start_for(end, &format!("http://127.0.0.1:{allowed}"));

        let started = Instant::now();
        let error = failure(&mut engine(kind, &plugin, other));
        assert!(error.contains(&format!("error: the page at http://127.0.0.1:{other}: ")), "{error}");
        assert!(started.elapsed() < SOON, "{:?}: {error}", started.elapsed());

        // A refusal affects only that page.
        assert_same(end, &output(&mut engine(kind, &plugin, allowed)), &expected());
    }
}
