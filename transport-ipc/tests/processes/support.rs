//! An engine, and programs written as shell scripts. An engine's first handshake always has the id -2, so that even a
//! shell can answer it.

use std::future::Future;
use std::time::Duration;

use conformance::engine_with;
use connector_core::{ActivateError, CallError, Engine, Plugin, PluginClient, Registration};
use tokio::time::timeout;
use transport_ipc::{Program, Restart};

/// The time limit of every wait.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
pub(crate) const HANDSHAKE: &str =
    r#"printf '{"action":"response","id":-2,"key":"handshake","payload":["echo"]}\n'; read hello; read request; "#;

pub(crate) async fn soon<T>(work: impl Future<Output = T>) -> T {
    timeout(LIMIT, work).await.expect("it hangs")
}

pub(crate) struct Host {
    pub(crate) engine: Engine,
    pub(crate) local: PluginClient,
}

impl Host {
    pub(crate) async fn new() -> Host {
        let (engine, local) = engine_with(Plugin::new("local")).await;
        Host { engine, local }
    }

    pub(crate) async fn activate(&self, registration: impl Into<Registration>) -> Result<(), ActivateError> {
        self.engine.register(registration).unwrap();
        soon(self.engine.manager().activate("p")).await
    }

    /// The plugin's answer to the single call that the scripts answer.
    pub(crate) async fn call(&self) -> Result<String, CallError> {
        soon(self.local.call("p", "echo", ())).await
    }
}

pub(crate) fn shell(script: &str) -> Program {
    let short = Duration::from_millis(200);
    Program::new("/bin/sh").arg("-c").arg(script).restart(Restart::Never).exit_timeout(short).term_timeout(short)
}

/// Answers the first request with `$answer`, which contains no quotes.
pub(crate) const ANSWER: &str = r#"printf '{"action":"response","id":0,"payload":"%s"}\n' "$answer"; "#;

/// Whether a process exists, even as a zombie.
#[cfg(target_os = "linux")]
pub(crate) fn exists(pid: &str) -> bool {
    std::path::Path::new("/proc").join(pid).exists()
}

/// This test program, to run one of its tests as a child.
pub(crate) fn this_program(test: &str) -> Program {
    Program::new(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]).restart(Restart::Never)
}
