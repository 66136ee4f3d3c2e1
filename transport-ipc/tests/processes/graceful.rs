//! A program that ends on its own with exit code 0, or at the end of its input.

use std::time::Duration;

use connector_core::Rest;
use transport_ipc::{IpcConfig, child};

use crate::support::*;

#[tokio::test]
async fn a_program_without_unanswered_requests_closes_its_link() {
    let host = Host::new().await;
    let mut downs = host.local.events::<Rest>("manager", "linkDown", 8).unwrap();
    host.activate(child("p", shell(&format!("{HANDSHAKE}answer=done; {ANSWER} exit 0")))).await.unwrap();
    assert_eq!(host.call().await.unwrap(), "done");
    let why = format!("{:?}", soon(downs.recv()).await.unwrap());
    assert!(why.contains("closed by the other end") && why.contains("exit status: 0"), "{why}");
}

/// Even with exit code 0.
#[tokio::test]
async fn a_program_with_an_unanswered_request_loses_its_link() {
    let host = Host::new().await;
    host.activate(child("p", shell(&format!("{HANDSHAKE}exit 0")))).await.unwrap();
    let error = host.call().await.unwrap_err().to_string();
    assert!(error.contains("ended with exit status: 0") && !error.contains("closed by"), "{error}");
}

/// Its input ends with the link, not at the close timeout.
#[tokio::test]
async fn a_program_that_waits_for_end_of_file_ends_at_once() {
    let never = Duration::from_secs(600);
    let handshake = r#"printf '{"action":"response","id":-2,"key":"handshake","payload":["echo"]}\n'; "#;
    let program = shell(&format!("{handshake}cat >/dev/null")).ipc(IpcConfig::default().close_timeout(never));
    let host = Host::new().await;
    host.activate(child("p", program.exit_timeout(never))).await.unwrap();
    soon(host.engine.manager().deactivate("p")).await.unwrap();
}
