//! The programs under test as child processes, and the published packages for the other end.
#![allow(dead_code, unreachable_pub, clippy::print_stderr, reason = "each test file uses a part")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

pub const NATIVE_PLUGIN: &str = env!("CARGO_BIN_EXE_ws-plugin");
pub const NATIVE_ENGINE: &str = env!("CARGO_BIN_EXE_ws-engine");

/// A program: ours, or one of the published packages' in `js/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Native(&'static str),
    JavaScript(&'static str),
}

impl End {
    pub fn command(self) -> Command {
        match self {
            End::Native(program) => Command::new(program),
            End::JavaScript(script) => {
                let mut command = Command::new("node");
                command.arg(js().join(script));
                command
            }
        }
    }
}

fn js() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("js")
}

/// Whether the published packages can be run; installs them on first use. Without Node the caller is to skip its test,
/// unless `REQUIRE_NODE` is set.
pub fn published_packages() -> bool {
    static INSTALLED: OnceLock<bool> = OnceLock::new();
    *INSTALLED.get_or_init(|| {
        let has_node = Command::new("node").arg("--version").output().is_ok_and(|node| node.status.success());
        if !has_node {
            assert!(std::env::var_os("REQUIRE_NODE").is_none(), "Node is not installed, and REQUIRE_NODE is set");
            eprintln!("skipped: Node is not installed, so there are no published packages to run against");
            return false;
        }
        if !js().join("node_modules/@remixproject/engine").exists() {
            let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(js()).output();
            let npm = npm.expect("npm comes with Node");
            assert!(npm.status.success(), "npm ci failed: {}", String::from_utf8_lossy(&npm.stderr));
        }
        true
    })
}

/// A plugin's process, which said where it listens. Killed when dropped.
pub struct Plugin {
    pub url: String,
    child: Child,
}

impl Plugin {
    pub fn start(end: End, port: u16) -> Plugin {
        let mut command = end.command();
        command.args(["--port", &port.to_string()]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&ready).expect("the plugin says that it is ready");
        assert_eq!(ready["event"], "ready");
        Plugin { url: ready["url"].as_str().unwrap().to_owned(), child }
    }

    pub fn port(&self) -> u16 {
        self.url.rsplit(':').next().unwrap().parse().unwrap()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines that an engine prints while it runs a script against a plugin.
pub fn run_engine(engine: End, url: &str, script: &Path) -> Vec<String> {
    let output = engine.command().arg("--url").arg(url).arg("--script").arg(script).output().unwrap();
    assert!(output.status.success(), "{engine:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}
