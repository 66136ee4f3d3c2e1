//! The tour in a page names the tools that it needs. `js/web/tour.js` drives the page itself.
#![cfg(feature = "web")]

use std::process::Command;

/// The version of wasm-bindgen that the programs use.
fn wasm_bindgen_version() -> &'static str {
    let lock = include_str!("../../Cargo.lock").lines().skip_while(|line| *line != "name = \"wasm-bindgen\"").nth(1);
    lock.and_then(|version| version.split('"').nth(1)).expect("Cargo.lock contains wasm-bindgen")
}

#[test]
fn missing_tools_are_an_error_with_the_commands_that_install_them() {
    let folder = std::env::temp_dir().join("no such folder");
    let mut tour = Command::new(env!("CARGO_BIN_EXE_web-tour"));
    tour.env("PATH", &folder).env("RUSTC", folder.join("rustc")).env_remove("CARGO_UNSTABLE_BUILD_STD");
    let output = tour.output().expect("web-tour starts");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        format!(
            "error: tools are missing; install them and try again:\n\n    rustup target add wasm32-unknown-unknown\n    \
             cargo install wasm-bindgen-cli --version {}\n\n",
            wasm_bindgen_version()
        )
    );
}
