//! Runs the command and what it needs.
#![allow(dead_code, reason = "each test uses a part")]

#[path = "../../../examples/tests/support/published_packages.rs"]
mod published_packages;

#[cfg(feature = "nats")]
#[path = "../../../transport-nats/tests/common/broker.rs"]
mod broker;
#[cfg(feature = "nats")]
mod replicas;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use serde_json::Value;

#[cfg(feature = "nats")]
#[allow(unused_imports, reason = "each test uses a part")]
pub(crate) use self::replicas::Replicas;

pub(crate) use self::published_packages::{js, published_packages};

pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

pub(crate) fn connector(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_connector"));
    command.args(args).current_dir(examples()).stdin(Stdio::null()).output().unwrap()
}

/// Runs the command with `--json`, and returns its exit code and what it prints.
pub(crate) fn json_of(args: &[&str]) -> (i32, Value) {
    let output = connector(args);
    let text = String::from_utf8_lossy(&output.stdout);
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{args:?}: {error} in {text:?}: {output:?}"));
    (output.status.code().unwrap(), value)
}

/// The published plugin behind a server, ended on drop.
pub(crate) struct Served {
    child: Child,
    pub(crate) url: String,
    /// Kept, because the plugin prints a line for each connection.
    _lines: BufReader<ChildStdout>,
}

impl Served {
    pub(crate) fn start(script: &str) -> Served {
        published_packages();
        let mut command = Command::new("node");
        let mut child = command.arg(js().join(script)).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        lines.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap();
        Served { child, url: ready["url"].as_str().unwrap().to_owned(), _lines: lines }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
