//! Looks for what some tests require.
//!
//! Without Node, Python, Chromium, tshark, a NATS server or a C compiler the tests that need them are ignored, with the reason;
//! with `REQUIRE_NODE`, `REQUIRE_PYTHON`, `REQUIRE_CHROMIUM`, `REQUIRE_TSHARK`, `REQUIRE_NATS` or `REQUIRE_CC` set they run anyway,
//! and fail. A test that needs root is ignored if another user builds it, and one that needs network namespaces where the builder
//! may not make them.
#![allow(clippy::print_stdout, reason = "instructions to Cargo")]

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rerun-if-env-changed=CHROMIUM");
    let node = look_for("node", "REQUIRE_NODE", &["node"]);
    look_for("python", "REQUIRE_PYTHON", &["python3"]);
    look_for("tshark", "REQUIRE_TSHARK", &["tshark"]);
    look_for("cc", "REQUIRE_CC", &["cc"]);
    println!("cargo::rerun-if-env-changed=NATS_SERVER");
    let nats = env::var("NATS_SERVER").unwrap_or_else(|_| "nats-server".to_owned());
    look_for("nats", "REQUIRE_NATS", &[&nats]);
    // The same choice as in `js/browser-engine.js`.
    let chosen = env::var("CHROMIUM").ok();
    let browsers = match &chosen {
        Some(chosen) => vec![chosen.as_str()],
        None => vec!["chromium", "chromium-browser", "google-chrome"],
    };
    // The page is served by a program for Node.
    look_for("chromium", "REQUIRE_CHROMIUM", if node { &browsers } else { &[] });
    println!("cargo::rustc-check-cfg=cfg(is_root)");
    let user = Command::new("id").arg("-u").output();
    if user.is_ok_and(|user| user.stdout == b"0\n") {
        println!("cargo::rustc-cfg=is_root");
    }
    println!("cargo::rustc-check-cfg=cfg(has_network_namespaces)");
    // A cable within a namespace that ends with the command, and the program that enters one.
    let cable = "ip link add one type veth peer name other && nsenter --version";
    let mut made = Command::new("unshare");
    made.args(["--net", "sh", "-c", cable]).stdout(Stdio::null()).stderr(Stdio::null());
    if made.status().is_ok_and(|made| made.success()) {
        println!("cargo::rustc-cfg=has_network_namespaces");
    }
}

/// Sets `cfg(has_…)` if one of the programs runs, or is required.
fn look_for(what: &str, required: &str, programs: &[&str]) -> bool {
    println!("cargo::rustc-check-cfg=cfg(has_{what})");
    println!("cargo::rerun-if-env-changed={required}");
    let found = programs.iter().find_map(|program| find(program)).filter(|program| runs(program));
    match &found {
        Some(program) => println!("cargo::rerun-if-changed={}", program.display()),
        // It may be installed later.
        None => places().filter(|place| place.is_dir()).for_each(|place| {
            println!("cargo::rerun-if-changed={}", place.display());
        }),
    }
    let available = found.is_some() || env::var_os(required).is_some();
    if available {
        println!("cargo::rustc-cfg=has_{what}");
    }
    available
}

fn places() -> impl Iterator<Item = PathBuf> {
    env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>().into_iter()
}

fn find(program: &str) -> Option<PathBuf> {
    let named = PathBuf::from(program).with_extension(env::consts::EXE_EXTENSION);
    match program.contains(std::path::MAIN_SEPARATOR) {
        true => Some(PathBuf::from(program)),
        false => places().map(|place| place.join(&named)).find(|path| path.is_file()),
    }
}

fn runs(program: &Path) -> bool {
    let mut version = Command::new(program);
    version.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}
