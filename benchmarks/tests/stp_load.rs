//! A short run of the hub's load test.

use std::process::Command;

use serde_json::Value;

#[test]
fn a_load_has_no_errors() {
    let mut load = Command::new(env!("CARGO_BIN_EXE_stp-load"));
    let output = load.args(["--seconds", "1", "--services", "40", "--sessions", "10"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((line["errors"].as_u64(), line["hub"]["services"].as_u64()), (Some(0), Some(40)));
    assert!(line["requests"].as_u64().unwrap() > 0, "{line}");
}
