//! What a program says of a channel that it cannot use.
#![cfg(all(unix, feature = "ipc"))]

use std::process::Command;

fn says(variables: &[(&str, &str)]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_ipc-plugin")).envs(variables.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

/// A pipe that this program shares with the next command on its line blocks again for that, or all along.
#[test]
fn a_shared_pipe_is_left_as_it_was() {
    let plugin = env!("CARGO_BIN_EXE_ipc-plugin");
    let line = r#"("$0" </dev/null 2>/dev/null; seq 1 100000; echo "seq: $?" >&2) | (sleep 1; wc -c)"#;
    let output = Command::new("/bin/sh").args(["-c", line, plugin]).output().unwrap();
    let (count, errors) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(errors.trim(), "seq: 0");
    // Those of the numbers, and before them the plugin's first message.
    assert!(count.trim().parse::<u64>().unwrap() > 588_895, "{count}");
}

/// While it runs, too: a shell that reads the same pipe does so without being told to try again.
#[cfg(target_os = "linux")]
#[test]
fn a_shared_pipe_blocks_all_along() {
    let plugin = env!("CARGO_BIN_EXE_ipc-plugin");
    // The flags of the shell's own standard output, while the plugin has it too.
    let line = r#"(sleep 1 | "$0" 2>/dev/null & sleep 0.5; grep flags /proc/self/fdinfo/1 >&2; wait) | cat >/dev/null"#;
    let output = Command::new("/bin/sh").args(["-c", line, plugin]).output().unwrap();
    let flags = String::from_utf8(output.stderr).unwrap();
    let flags = flags.split_whitespace().last().map(|flags| u32::from_str_radix(flags, 8)).unwrap().unwrap();
    const NONBLOCK: u32 = 0o4000;
    assert_eq!(flags & NONBLOCK, 0, "{flags:o}");
}

#[test]
fn v8s_own_format_is_refused() {
    let error = says(&[("NODE_CHANNEL_FD", "3"), ("NODE_CHANNEL_SERIALIZATION_MODE", "advanced")]);
    assert!(error.contains("fork with 'json'"), "{error}");
}

#[test]
fn what_is_no_channel_is_refused() {
    for (value, why) in
        [("77", "is not a channel"), ("x", "not a descriptor number"), ("-1", "not a descriptor number")]
    {
        let error = says(&[("NODE_CHANNEL_FD", value)]);
        assert!(error.contains(why), "{value}: {error}");
    }
    let error = says(&[("PLUGIN_SOCKET", "no such/name")]);
    assert!(error.contains("PLUGIN_SOCKET"), "{error}");
    let error = says(&[("PLUGIN_SOCKET", "/no/such/socket")]);
    assert!(error.contains("/no/such/socket"), "{error}");
}
