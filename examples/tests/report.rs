//! Programs whose output cannot be written.
#![cfg(all(unix, feature = "ws"))]

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

fn output(stdout: impl Into<Stdio>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ws-plugin"));
    let mut child = command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..600 {
        if child.try_wait().unwrap().is_some() {
            return child.wait_with_output().unwrap();
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    panic!("it continues without its output: {:?}", child.wait_with_output().unwrap());
}

#[test]
fn a_program_ends_quietly_when_its_reader_has_ended() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = output(writer);
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn a_program_shows_why_its_output_cannot_be_written() {
    let output = output(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && error.starts_with("error: cannot write to standard output: No space"),
        "{error}"
    );
}
