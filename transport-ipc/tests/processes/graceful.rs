//! A program that ends by itself with exit code 0, or with its input.

use std::time::Duration;

use connector_core::Rest;
use transport_ipc::{IpcConfig, child};

use crate::support::*;

#[tokio::test]
async fn one_that_owes_nothing_has_closed_its_link() {
    let host = Host::new().await;
    let mut downs = host.local.events::<Rest>("manager", "linkDown", 8).unwrap();
    host.activate(child("p", shell(&format!("{HANDSHAKE}answer=done; {ANSWER} exit 0")))).await.unwrap();
    assert_eq!(host.call().await.unwrap(), "done");
    let why = format!("{:?}", soon(downs.recv()).await.unwrap());
    assert!(why.contains("closed by the other end") && why.contains("exit status: 0"), "{why}");
}

/// What is owed is lost with it, exit code 0 or not.
#[tokio::test]
async fn one_that_owes_an_answer_has_lost_its_link() {
    let host = Host::new().await;
    host.activate(child("p", shell(&format!("{HANDSHAKE}exit 0")))).await.unwrap();
    let error = host.call().await.unwrap_err().to_string();
    assert!(error.contains("ended with exit status: 0") && !error.contains("closed by"), "{error}");
}

/// Its input ends with the link, at once, not when the time for closing is up.
#[tokio::test]
async fn one_that_ends_with_its_input_is_not_kept_waiting() {
    let never = Duration::from_secs(600);
    let handshake = r#"printf '{"action":"response","id":-2,"key":"handshake","payload":["echo"]}\n'; "#;
    let program = shell(&format!("{handshake}cat >/dev/null")).ipc(IpcConfig::default().close_timeout(never));
    let host = Host::new().await;
    host.activate(child("p", program.exit_timeout(never))).await.unwrap();
    soon(host.engine.manager().deactivate("p")).await.unwrap();
}
