//! Looks for the NATS server that tests start: `NATS_SERVER`, or `nats-server` in `PATH`.
//!
//! Without it those tests are ignored, with the reason; with `REQUIRE_NATS` set they run anyway, and fail. Nothing else
//! depends on it.
#![allow(clippy::print_stdout, reason = "instructions to Cargo")]

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=NATS_SERVER");
    println!("cargo::rerun-if-env-changed=REQUIRE_NATS");
    println!("cargo::rerun-if-env-changed=PATH");
    println!("cargo::rustc-check-cfg=cfg(has_nats)");
    let named = env::var_os("NATS_SERVER").map(PathBuf::from);
    let mut places = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect::<Vec<_>>().into_iter();
    let program = PathBuf::from("nats-server").with_extension(env::consts::EXE_EXTENSION);
    let found = named.is_some_and(|named| named.is_file()) || places.any(|place| place.join(&program).is_file());
    if found || env::var_os("REQUIRE_NATS").is_some() {
        println!("cargo::rustc-cfg=has_nats");
    }
}
