//! What a program's errors tell other plugins, and what it learns about its host.

use std::time::Duration;

use conformance::traces;
use connector_core::{CallError, Event, Plugin, Rest};
use tracing::Level;
use transport_ipc::{ChildEnd, child};

use crate::support::*;

const SECRET: &str = "hunter2";

#[tokio::test]
async fn a_programs_standard_error_is_for_the_host_alone() {
    let traces = traces(Level::WARN);
    let host = Host::new().await;
    // Passes its error on to its caller, as `?` does.
    let relay = Plugin::new("relay").method("relay", |ctx: connector_core::Context| async move {
        ctx.client().call::<String>("p", "echo", ()).await
    });
    host.engine.register(relay).unwrap();
    let script = format!("{HANDSHAKE}printf 'connecting\\npassword={SECRET}\\n' >&2; exit 3");
    let mut down = host.local.events("manager", "linkDown", 8).unwrap();
    host.activate(child("p", shell(&script))).await.unwrap();

    let relayed = soon(host.local.call::<String>("relay", "relay", ())).await.unwrap_err();
    assert!(relayed.to_string().contains("exit status: 3"), "{relayed}");
    let Some(Event::Args(Rest(args))) = soon(down.recv()).await else { panic!("no event") };
    let announced: String = args[1].clone().read().unwrap();
    assert!(announced.contains("exit status: 3"), "{announced}");
    // It stays down.
    let error = soon(async {
        loop {
            let error = host.call().await.unwrap_err();
            if error.to_string().contains("Restart::Never") {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(
        error.to_string().contains("its last lines on standard error are in ChildEnd::stderr and in the traces"),
        "{error}"
    );
    for text in [relayed.to_string(), format!("{relayed:?}"), announced, error.to_string(), format!("{error:?}")] {
        assert!(!text.contains(SECRET), "{text}");
    }
    let traced = traces.containing(SECRET);
    assert!(traced.len() == 1 && traced[0].contains(r"connecting\npassword=hunter2"), "{traced:?}");
}

#[tokio::test]
async fn the_host_reads_the_last_lines_from_the_error_of_its_own_call() {
    let host = Host::new().await;
    let script = format!("{HANDSHAKE}printf 'one\\ntwo\\n' >&2; exit 3");
    host.activate(child("p", shell(&script))).await.unwrap();
    let error = host.call().await.unwrap_err();
    assert!(!format!("{error:?}").contains("one"), "{error:?}");
    assert_eq!(ChildEnd::of(&error).unwrap().stderr, ["one", "two"]);
}

/// Cargo sets `CARGO_MANIFEST_DIR` for tests.
#[tokio::test]
async fn only_common_variables_of_the_host_are_inherited_by_default() {
    let host_dir = std::env::var("CARGO_MANIFEST_DIR").unwrap();
    let script = format!("{HANDSHAKE}answer=\"${{PATH:+path}} $CARGO_MANIFEST_DIR $ONE\"; {ANSWER} exit 3");
    let program = || shell(&script).env("ONE", "1");
    let everything = format!("path {host_dir} 1");
    for (program, expected, withholds) in [
        (program(), "path  1", true),
        (program().inherit_all_env(), &*everything, false),
        (program().inherit_env(["CARGO_MANIFEST_DIR", "PATH"]), &*everything, false),
    ] {
        let host = Host::new().await;
        let mut failing = program.clone();
        failing.args = vec!["-c".into(), "exit 3".into()];
        host.activate(child("p", program)).await.unwrap();
        assert_eq!(host.call().await.unwrap(), expected);
        let lost = host.call().await.unwrap_err();
        assert!(matches!(lost, CallError::LinkLost(_)), "{lost:?}");
        let lost = lost.to_string();
        // It has had what it needs, or it would not have sent a message.
        assert!(!lost.contains("withheld"), "{lost}");
        assert!(!lost.contains("CARGO_MANIFEST_DIR") && !lost.contains(&host_dir), "{lost}");
        let failed = Host::new().await.activate(child("p", failing)).await.unwrap_err().to_string();
        assert_eq!(failed.contains("variables of the host's environment were withheld"), withholds, "{failed}");
        assert!(!failed.contains("CARGO_MANIFEST_DIR") && !failed.contains(&host_dir), "{failed}");
    }
}
