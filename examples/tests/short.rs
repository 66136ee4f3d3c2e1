//! The short programs in `examples/`: each is short and prints what its documentation says.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

#[cfg(feature = "nats")]
#[path = "../../transport-nats/tests/common/broker.rs"]
mod broker;

/// The maximum number of lines of a program, including comments.
const LINES: usize = 59;
/// The time limit of each program.
const LIMIT: Duration = Duration::from_secs(60);

/// Makes a test for each program, with the feature that it needs, if any. Those after the semicolon have tests below.
macro_rules! programs {
    ($($name:ident $($feature:literal)?),* $(,)?; $($tested:ident),*) => {
        const PROGRAMS: &[&str] = &[$(stringify!($name),)* $(stringify!($tested)),*];
        $(
            $(#[cfg(feature = $feature)])?
            #[tokio::test]
            async fn $name() {
                prints_the_documented_output(stringify!($name), &[]).await;
            }
        )*
    };
}
programs! {
    access, big_payloads, child "ipc", context, errors, events, hello, lending "ws", lifecycle, local_socket "ipc", lost_link "ipc",
    policy, replicas "ws", services, socketio "socketio", stp "stp", thread "worker", websocket "ws"; nats
}

#[cfg(feature = "nats")]
#[cfg_attr(not(has_nats), ignore = "needs a NATS server")]
#[tokio::test]
async fn nats() {
    let broker = broker::Broker::start().unwrap();
    prints_the_documented_output("nats", &[("NATS_URL", &broker.url())]).await;
}

fn source(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name).with_extension("rs");
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Cargo puts examples beside the directory of the tests. `cargo test` builds them.
fn executable(name: &str) -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let built =
        tests.ancestors().nth(2).unwrap().join("examples").join(name).with_extension(std::env::consts::EXE_EXTENSION);
    assert!(
        built.is_file(),
        "{} is missing: `cargo test --test` builds no examples, `cargo test` does",
        built.display()
    );
    built
}

/// The `text` block of the documentation at the top.
fn promised(source: &str) -> String {
    let documentation = source.lines().map_while(|line| line.strip_prefix("//!"));
    let block = documentation.map(str::trim).skip_while(|line| *line != "```text").skip(1);
    block.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect()
}

async fn prints_the_documented_output(name: &str, environment: &[(&str, &str)]) {
    let promised = promised(&source(name));
    assert!(!promised.is_empty(), "the documentation does not show the output");
    let mut program = tokio::process::Command::new(executable(name));
    let output = program.envs(environment.iter().copied()).stdin(Stdio::null()).kill_on_drop(true).output();
    let output = tokio::time::timeout(LIMIT, output).await.expect("it hangs").unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert_eq!(String::from_utf8_lossy(&output.stdout), promised, "{errors}");
}

#[test]
fn every_program_has_a_test_and_is_listed_in_the_readme() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let there: BTreeSet<_> = files.map(|file| file.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    assert_eq!(there, PROGRAMS.iter().map(|name| (*name).to_owned()).collect());
    for name in PROGRAMS {
        let row = format!("| [`{name}`](examples/{name}.rs) |");
        assert!(include_str!("../README.md").contains(&row), "{name} is missing");
    }
}

#[test]
fn every_program_is_short_and_documents_how_to_run_it() {
    for name in PROGRAMS {
        let source = source(name);
        let lines = source.lines().count();
        assert!(lines <= LINES, "{name}.rs has {lines} lines");
        assert!(source.starts_with("//! ") && source.contains(&format!("--example {name}`")), "{name}");
    }
}
