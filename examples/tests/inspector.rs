//! The inspector's page in a browser: `js/inspector` has the tests.
#![cfg(feature = "inspect")]

mod support;

use std::process::Command;

use support::published_packages;

#[test]
#[cfg_attr(not(has_chromium), ignore = "needs Chromium and Node")]
fn the_inspectors_page_does_what_its_tests_say() {
    // The browser's driver is installed with them.
    published_packages();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/js/inspector/run.js");
    let output = Command::new("node").args([script, "--host", env!("CARGO_BIN_EXE_inspected")]).output();
    let output = output.expect("node starts");
    let [tests, errors] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{tests}\n{errors}");
}
