//! Tests whose programs are not installed are ignored: `build.rs` finds out.
#![cfg(unix)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// The conditions that the build script sets if these programs, each with the exit code of its `--version`, are installed.
fn conditions(script: &Path, programs: &[(&str, i32)], required: &[&str]) -> BTreeSet<String> {
    let path = tempfile::tempdir().unwrap();
    for (name, code) in programs {
        let program = path.path().join(name);
        fs::write(&program, format!("#!/bin/sh\nexit {code}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut script = Command::new(script);
    script.env_clear().env("PATH", path.path()).envs(required.iter().map(|name| (name, "1")));
    let output = script.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines.lines().filter_map(|line| line.strip_prefix("cargo::rustc-cfg=")).map(str::to_owned).collect()
}

#[test]
fn tests_are_ignored_without_their_programs() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("build-script");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/build.rs");
    let rustc = Command::new("rustc").args(["--edition", "2024", source, "-o"]).arg(&script).status();
    assert!(rustc.unwrap().success());
    let set = |programs: &[(&str, i32)], required: &[&str]| conditions(&script, programs, required);
    let are = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(set(&[], &[]), are(&[]));
    assert_eq!(set(&[("node", 0), ("python3", 0)], &[]), are(&["has_node", "has_python"]));
    assert_eq!(set(&[("node", 1)], &[]), are(&[]), "a program that does not run is not installed");
    assert_eq!(set(&[("chromium", 0)], &[]), are(&[]), "its page is served by Node");
    assert_eq!(set(&[("chromium", 0), ("node", 0)], &[]), are(&["has_chromium", "has_node"]));
    assert_eq!(set(&[("nats-server", 0), ("cc", 0)], &[]), are(&["has_cc", "has_nats"]));
    assert_eq!(set(&[], &["REQUIRE_PYTHON"]), are(&["has_python"]), "what is required is not ignored");
}
