//! Builds the programs for the page.

use std::path::Path;
use std::process::{Output, Stdio};
use std::{env, io};

use examples::{Done, report};
use tokio::process::Command;

use crate::{programs, workspace};

const TARGET: &str = "wasm32-unknown-unknown";
/// The examples of `examples/web`.
const PROGRAMS: &[&str] =
    &["tour_engine", "tour_editor", "tour_counter", "page_engine", "page_frame", "page_worker", "page_port"];
const LOCK: &str = include_str!("../../../../Cargo.lock");

/// Builds all programs. Fails with the commands to run if tools are missing.
pub(crate) async fn build() -> Done {
    require_tools().await?;
    report("building the programs for the page, which takes a minute or two the first time");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--release", "-p", "web-examples", "--examples"]);
    cargo.args(["--target", TARGET, "--target-dir", "target/wasm"]);
    run(&mut cargo).await?;
    for program in PROGRAMS {
        let mut bind = Command::new("wasm-bindgen");
        bind.args(["--target", "web", "--no-typescript", "--out-dir"]).arg(programs());
        bind.arg(format!("target/wasm/{TARGET}/release/examples/{program}.wasm"));
        run(&mut bind).await?;
    }
    std::fs::copy(workspace().join("transport-web/js/keep-messages.js"), programs().join("keep-messages.js"))?;
    Ok(())
}

/// Fails unless the programs have been built before.
pub(crate) fn check() -> Done {
    match PROGRAMS.iter().map(|program| programs().join(format!("{program}.js"))).find(|file| !file.is_file()) {
        Some(file) => Err(format!("{} is missing; run web-tour without --no-build", file.display()).into()),
        None => Ok(()),
    }
}

async fn require_tools() -> Done {
    let mut missing = Vec::new();
    if !has_target().await? {
        missing.push(format!("rustup target add {TARGET}"));
    }
    let version = wasm_bindgen_version()?;
    let installed = output(Command::new("wasm-bindgen").arg("--version")).await;
    if !installed.is_ok_and(|output| text(&output).split_whitespace().nth(1) == Some(version)) {
        missing.push(format!("cargo install wasm-bindgen-cli --version {version}"));
    }
    match missing.is_empty() {
        true => Ok(()),
        false => {
            Err(format!("tools are missing; install them and try again:\n\n    {}\n", missing.join("\n    ")).into())
        }
    }
}

/// The wasm-bindgen program must be of the same version as the library.
fn wasm_bindgen_version() -> Result<&'static str, &'static str> {
    let version = LOCK.split("name = \"wasm-bindgen\"\nversion = \"").nth(1);
    version.and_then(|rest| rest.split('"').next()).ok_or("Cargo.lock does not contain wasm-bindgen")
}

/// Whether the target's standard library is installed, or Cargo builds it.
async fn has_target() -> io::Result<bool> {
    if env::var_os("CARGO_UNSTABLE_BUILD_STD").is_some() {
        return Ok(true);
    }
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let output = output(rustc.args(["--print", "target-libdir", "--target", TARGET])).await;
    Ok(output.is_ok_and(|output| Path::new(text(&output).trim()).is_dir()))
}

async fn output(command: &mut Command) -> io::Result<Output> {
    command.stdin(Stdio::null()).kill_on_drop(true).output().await
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

async fn run(command: &mut Command) -> Done {
    let name = command.as_std().get_program().to_string_lossy().into_owned();
    let status = command.current_dir(workspace()).stdin(Stdio::null()).kill_on_drop(true).status().await;
    match status.map_err(|error| format!("cannot run {name}: {error}"))? {
        status if status.success() => Ok(()),
        status => Err(format!("{name} failed: {status}").into()),
    }
}
