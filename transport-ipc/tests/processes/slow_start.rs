//! A program that is deactivated before it has performed the handshake.

use std::fs;
use std::time::Duration;

use connector_core::ActivateError;
use transport_ipc::child;

use crate::support::*;

#[tokio::test]
async fn a_program_that_is_deactivated_while_it_starts_does_not_become_active() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let script = format!("echo $$ >'{}'; sleep 2; {HANDSHAKE}exec sleep 1000", file.display());
    let host = Host::new().await;
    host.engine.register(child("p", shell(&script))).unwrap();
    let manager = host.engine.manager();
    let activation = tokio::spawn(async move { manager.activate("p").await });
    let pid = soon(async {
        loop {
            match fs::read_to_string(&file) {
                Ok(pid) if pid.ends_with('\n') => break pid.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    })
    .await;
    soon(host.engine.manager().deactivate("p")).await.unwrap();
    let error = soon(activation).await.unwrap().unwrap_err();
    assert!(matches!(error, ActivateError::Interrupted(_)), "{error:?}");
    assert!(!host.engine.manager().is_active("p"));
    soon(async {
        while exists(&pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    assert!(!host.engine.manager().is_active("p"), "nothing activates it afterwards");
}
