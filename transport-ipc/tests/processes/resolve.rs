//! The file that is checked is the one that runs.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use connector_core::{ConnectError, LinkEnd, LinkState};
use transport_ipc::{Program, Restart, child};

use crate::support::*;

/// Writes an executable plugin that answers with `what`.
fn put(folder: &Path, name: &str, what: &str, mode: u32) {
    fs::create_dir_all(folder).unwrap();
    let script = format!("#!/bin/sh\n{HANDSHAKE}answer={what}; {ANSWER} exec sleep 1000\n");
    fs::write(folder.join(name), script).unwrap();
    fs::set_permissions(folder.join(name), Permissions::from_mode(mode)).unwrap();
}

async fn refusal(program: Program) -> String {
    Host::new().await.activate(child("p", program)).await.unwrap_err().to_string()
}

/// Reads the digest from an error text.
async fn sha256(file: &Path) -> [u8; 32] {
    let text = refusal(Program::new(file).sha256([0; 32])).await;
    let hex = text.split("its SHA-256 is ").nth(1).unwrap_or_else(|| panic!("{text}"));
    std::array::from_fn(|n| u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).unwrap())
}

async fn answer(program: Program) -> String {
    let host = Host::new().await;
    host.activate(child("p", program)).await.unwrap();
    let answer = host.call().await.unwrap();
    soon(host.engine.shutdown()).await;
    answer
}

#[tokio::test]
async fn paths_relative_to_the_childs_directory_are_checked_and_run_there() {
    let folder = tempfile::tempdir().unwrap();
    put(folder.path(), "x", "right", 0o755);
    put(&folder.path().join("bin"), "y", "below", 0o755);
    let (x, y) = (sha256(&folder.path().join("x")).await, sha256(&folder.path().join("bin/y")).await);
    assert_eq!(answer(Program::new("./x").current_dir(folder.path()).sha256(x)).await, "right");
    assert_eq!(answer(Program::new("bin/y").current_dir(folder.path()).sha256(y)).await, "below");
    let path = |path: &str| format!("{path}:/usr/bin:/bin");
    let in_path = Program::new("y").current_dir(folder.path()).env("PATH", path("bin"));
    assert_eq!(answer(in_path.sha256(y)).await, "below");
    let here = Program::new("x").current_dir(folder.path()).env("PATH", path(""));
    assert_eq!(answer(here.sha256(x)).await, "right");
    let other = refusal(Program::new("./x").current_dir(folder.path()).sha256(y)).await;
    assert!(other.contains("its SHA-256 is"), "{other}");
}

#[tokio::test]
async fn a_name_is_resolved_in_the_childs_path() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    put(&at("other"), "sh", "another", 0o755);
    put(&at("text"), "x", "text", 0o644);
    fs::create_dir_all(at("folder/x")).unwrap();
    put(&at("right"), "x", "right", 0o755);
    // The engine's `sh` has the right digest, but another one would run.
    let own = sha256(Path::new("/bin/sh")).await;
    let path = format!("{}:/usr/bin:/bin", at("other").display());
    let error = refusal(Program::new("sh").env("PATH", &path).sha256(own)).await;
    assert!(error.contains("its SHA-256 is"), "{error}");
    let other = sha256(&at("other/sh")).await;
    assert_eq!(answer(Program::new("sh").env("PATH", path).sha256(other)).await, "another");
    // Entries that cannot be run are skipped.
    let all = ["folder", "text", "right"].map(|name| at(name).display().to_string()).join(":") + ":/usr/bin:/bin";
    let right = sha256(&at("right/x")).await;
    assert_eq!(answer(Program::new("x").env("PATH", all).sha256(right)).await, "right");
}

#[tokio::test]
#[cfg_attr(not(target_os = "linux"), ignore = "needs /proc, to read the program's own name")]
async fn a_program_keeps_the_name_it_was_called_by() {
    let script = format!("{HANDSHAKE}answer=$(tr '\\0' '\\n' </proc/$$/cmdline | head -n 1); {ANSWER} exec sleep 1000");
    assert_eq!(answer(Program::new("sh").args(["-c", &script])).await, "sh");
}

#[tokio::test]
async fn the_digest_is_checked_at_each_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x");
    let script = format!("#!/bin/sh\necho '# changed' >>'{}'\n{HANDSHAKE}exit 3\n", file.display());
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o755)).unwrap();
    let digest = sha256(&file).await;
    let host = Host::new().await;
    host.activate(child("p", Program::new(&file).sha256(digest).restart(Restart::Always))).await.unwrap();
    host.call().await.unwrap_err();
    let mut state = host.engine.link_state("p").unwrap();
    let refused = |state: &LinkState| {
        matches!(state, LinkState::Down { why: LinkEnd::Unreachable(ConnectError::Refused(text)), .. }
            if text.contains("its SHA-256 is"))
    };
    soon(state.wait_for(refused)).await.unwrap();
}
