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
    assert!((100..20_000).contains(&traced), "{traced}");
}
