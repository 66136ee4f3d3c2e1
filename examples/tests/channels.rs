//! What a program says of a channel that it cannot use.
#![cfg(all(unix, feature = "ipc"))]

use std::process::Command;

fn says(variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ipc-plugin")).envs(variables.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn v8s_own_format_is_refused() {
    let error = says(&[("NODE_CHANNEL_FD", "3"), ("NODE_CHANNEL_SERIALIZATION_MODE", "advanced")]);
    assert!(error.contains("fork with 'json'"), "{error}");
}

#[test]
fn what_is_no_channel_is_refused() {
    for (value, why) in [("77", "is no channel"), ("x", "no descriptor's number"), ("-1", "no descriptor's number")] {
        let error = says(&[("NODE_CHANNEL_FD", value)]);
        assert!(error.contains(why), "{value}: {error}");
    }
    let error = says(&[("PLUGIN_SOCKET", "no such/name")]);
    assert!(error.contains("PLUGIN_SOCKET"), "{error}");
    let error = says(&[("PLUGIN_SOCKET", "/no/such/socket")]);
    assert!(error.contains("/no/such/socket"), "{error}");
}
