//! Errors of a program whose channel cannot be used.
#![cfg(all(unix, feature = "ipc"))]

use std::process::Command;

fn error_with(variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ipc-plugin")).envs(variables.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// A pipe that this program shares with the next command on its line is blocking for that command.
#[test]
fn a_shared_pipe_is_blocking_afterwards() {
    let plugin = env!("CARGO_BIN_EXE_ipc-plugin");
    let line = r#"("$0" </dev/null 2>/dev/null; seq 1 100000; echo "seq: $?" >&2) | (sleep 1; wc -c)"#;
    let output = Command::new("/bin/sh").args(["-c", line, plugin]).output().unwrap();
    let (count, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(errors.trim(), "seq: 0");
    // The bytes of the numbers, and before them the plugin's first message.
    assert!(count.trim().parse::<u64>().unwrap() > 588_895, "{count}");
}

/// Also while it runs: a shell that reads the same pipe never gets `EAGAIN`.
#[cfg(target_os = "linux")]
#[test]
fn a_shared_pipe_stays_blocking() {
    let plugin = env!("CARGO_BIN_EXE_ipc-plugin");
    // The flags of the shell's standard output, while the plugin shares it.
    let line = r#"(sleep 1 | "$0" 2>/dev/null & sleep 0.5; grep flags /proc/self/fdinfo/1 >&2; wait) | cat >/dev/null"#;
    let output = Command::new("/bin/sh").args(["-c", line, plugin]).output().unwrap();
    let flags = String::from_utf8(output.stderr).unwrap();
    let flags = flags.split_whitespace().last().map(|flags| u32::from_str_radix(flags, 8)).unwrap().unwrap();
    const NONBLOCK: u32 = 0o4000;
    assert_eq!(flags & NONBLOCK, 0, "{flags:o}");
}

#[test]
fn v8s_format_is_refused() {
    let error = error_with(&[("NODE_CHANNEL_FD", "3"), ("NODE_CHANNEL_SERIALIZATION_MODE", "advanced")]);
    assert!(error.contains("fork with 'json'"), "{error}");
}

#[test]
fn an_invalid_channel_is_refused() {
    for (value, why) in
        [("77", "is not a channel"), ("x", "not a descriptor number"), ("-1", "not a descriptor number")]
    {
        let error = error_with(&[("NODE_CHANNEL_FD", value)]);
        assert!(error.contains(why), "{value}: {error}");
    }
    let error = error_with(&[("PLUGIN_SOCKET", "no such/name")]);
    assert!(error.contains("PLUGIN_SOCKET"), "{error}");
    let error = error_with(&[("PLUGIN_SOCKET", "/no/such/socket")]);
    assert!(error.contains("/no/such/socket"), "{error}");
}
