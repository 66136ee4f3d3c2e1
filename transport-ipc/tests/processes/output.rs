//! A program's output is traced with its plugin's name.

use conformance::traces;
use connector_core::{ExternalProfile, Registration};
use tracing::Level;
use transport_ipc::{ChildConnector, child};

use crate::support::*;

#[tokio::test]
async fn each_line_names_the_plugin_and_is_printable() {
    let traces = traces(Level::INFO);
    let script =
        format!("printf 'one\\ntwo \\033[31mred\\rforged\\n' >&2; {HANDSHAKE}answer=x; {ANSWER} exec sleep 1000");
    let program = || shell(&script);
    let behind = Registration::behind(ExternalProfile::new("p", "exec:sh"), ChildConnector::new(program()));
    for registration in [child("p", program()), behind] {
        let host = Host::new().await;
        host.activate(registration).await.unwrap();
        host.call().await.unwrap();
        soon(async {
            while traces.containing("two").is_empty() {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        })
        .await;
        let traced = [traces.containing("one"), traces.containing("two")].concat();
        assert!(
            traced.iter().all(|line| line.contains(r#"plugin="p""#) && line.contains(r#"output="stderr""#)),
            "{traced:?}"
        );
        assert!(traced.iter().all(|line| !line.contains(['\x1b', '\r'])), "{traced:?}");
        soon(host.engine.shutdown()).await;
        traces.clear();
    }
}

#[tokio::test]
async fn excess_lines_are_counted_instead_of_traced() {
    let traces = traces(Level::INFO);
    let script = format!("seq 1 200000 >&2; {HANDSHAKE}answer=x; {ANSWER} exec sleep 1000");
    let host = Host::new().await;
    host.activate(child("p", shell(&script))).await.unwrap();
    host.call().await.unwrap();
    soon(host.engine.shutdown()).await;
    soon(async {
        while traces.containing("lines over the limit").is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
    let traced = traces.containing("output=").len();
    // The limit is per second and the machine may be slow; without a limit all lines would be traced.
    assert!((40..8_000).contains(&traced), "{traced}");
}

/// Its standard output carries messages, so each line is a bad frame.
#[tokio::test]
async fn a_program_that_prints_without_end_does_not_fill_the_log() {
    let traces = traces(Level::INFO);
    let script = format!(
        "{HANDSHAKE}yes \"$(printf '\\033[2Jx\\rforged%0400d' 1)\" | head -n 30000; answer=x; {ANSWER} exec sleep 1000"
    );
    let host = Host::new().await;
    host.activate(child("p", shell(&script))).await.unwrap();
    host.call().await.unwrap();
    let dropped = traces.containing("a frame is dropped");
    assert!((1..2_000).contains(&dropped.len()), "{} of 30,000 lines", dropped.len());
    assert!(dropped.iter().all(|line| line.len() < 4096 && !line.contains(['\x1b', '\r'])), "{:?}", dropped[0]);
    soon(host.engine.shutdown()).await;
}
