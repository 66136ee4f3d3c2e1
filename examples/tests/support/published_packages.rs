//! The published packages, installed on first use.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use serde_json::Value;

/// The directory of the published packages.
pub(crate) fn js() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/js")
}

/// Requires an external program. A test that needs one is ignored without it (`build.rs` looks for them), unless it is
/// required.
pub(crate) fn need(program: &str) {
    let version = Command::new(program).arg("--version").output();
    assert!(version.is_ok_and(|output| output.status.success()), "{program} is not installed");
}

/// Installs the published packages on first use. For tests with `#[cfg_attr(not(has_node), ignore = "needs Node")]`.
pub(crate) fn published_packages() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        need("node");
        if !up_to_date() {
            let npm = Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(js()).output();
            let npm = npm.expect("npm comes with Node");
            assert!(npm.status.success(), "npm ci failed: {}", String::from_utf8_lossy(&npm.stderr));
        }
    });
}

/// Whether each package that `package.json` pins is installed in that version.
fn up_to_date() -> bool {
    let json = |file: PathBuf| std::fs::read(file).ok().and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let wanted = json(js().join("package.json")).expect("package.json is JSON");
    let wanted = ["dependencies", "devDependencies"].iter().flat_map(|kind| wanted[kind].as_object().unwrap());
    let installed = |name: &str| json(js().join("node_modules").join(name).join("package.json"));
    wanted.into_iter().all(|(name, version)| installed(name).is_some_and(|package| &package["version"] == version))
}
