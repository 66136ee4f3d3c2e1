//! Permanent failures are not retried: an activation with retries would take 15 s.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::Duration;

use connector_core::{ActivateError, ConnectError, ExternalProfile, PluginOptions, Registration};
use transport_ipc::local::{self, LocalConnector};
use transport_ipc::{ChannelKind, Program, child};

use crate::support::*;

/// Gives retries so much time that the test's own limit ends them.
fn with_long_timeout(registration: Registration) -> Registration {
    registration.options(PluginOptions::default().activation_timeout(Duration::from_secs(600)))
}

async fn refused(registration: Registration) -> String {
    let error = Host::new().await.activate(with_long_timeout(registration)).await.unwrap_err();
    match error {
        ActivateError::Connect { error: ConnectError::Refused(text), .. } => text,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_program_that_cannot_be_started_is_not_retried() {
    let folder = tempfile::tempdir().unwrap();
    symlink("loop", folder.path().join("loop")).unwrap();
    fs::write(folder.path().join("text"), "").unwrap();
    let script = folder.path().join("script");
    fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let at = |name: &str| folder.path().join(name);
    let sh = || Program::new("/bin/sh");
    let programs = [
        (Program::new(""), "its path"),
        (Program::new("no-such-program"), "its path"),
        (Program::new("./no-such-program"), "its path"),
        (Program::new(at("text")), "check that it is executable (`chmod +x`)"),
        (Program::new(folder.path()), "it is a directory"),
        (Program::new(at("script")), "the interpreter named in its first line"),
        (Program::new(at("text").join("below")), "cannot be started"),
        (Program::new(at("loop")), "cannot be started"),
        (Program::new(at(&"x".repeat(300))), "cannot be started"),
        (Program::new("a\0b"), "cannot be started"),
        (sh().arg("a\0b"), "cannot be started"),
        (sh().env("a", "b\0"), "cannot be started"),
        (sh().arg("x".repeat(4 << 20)), "cannot be started"),
        (sh().current_dir(at("no")), "its working directory"),
        (sh().current_dir(at("text")), "cannot be started"),
        (Program::new(at("gone")).sha256([0; 32]), "its SHA-256 cannot be checked"),
    ];
    for (program, part) in programs {
        let shown = format!("{program:?}");
        let text = refused(child("p", program)).await;
        assert!(text.contains(part), "{shown}: {text}");
    }
}

#[tokio::test]
async fn an_invalid_socket_is_not_retried() {
    let folder = tempfile::tempdir().unwrap();
    symlink("loop", folder.path().join("loop")).unwrap();
    let long = format!("/{}", "x".repeat(200));
    for name in ["ws://localhost/", "http://localhost", "a b", "", &long, folder.path().join("loop").to_str().unwrap()]
    {
        refused(local::plugin("p", name)).await;
    }
}

#[tokio::test]
async fn an_invalid_url_is_redacted() {
    for url in ["ws://user:s3cret@127.0.0.1:9/t0ken", "local:user:s3cret@t0ken", "local://user:s3cret@h/t0ken"] {
        let profile = ExternalProfile::new("p", url);
        let host = Host::new().await;
        let error = host.activate(Registration::behind(profile, LocalConnector::default())).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("is not a name for a local socket"), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("t0ken"), "{text}");
    }
}

/// This program starts itself as the engine, because the environment determines the directory of sockets.
#[tokio::test]
async fn an_unusable_socket_directory_is_not_retried() {
    const IS_ENGINE: &str = "REFUSED_FOLDER_ENGINE";
    if let Some(part) = std::env::var_os(IS_ENGINE) {
        let program = this_program("nothing").channel(ChannelKind::Local);
        let text = refused(child("p", program)).await;
        assert!(text.contains(part.to_str().unwrap()), "{text}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let long = folder.path().join("x".repeat(100));
    fs::create_dir(&long).unwrap();
    let shared = folder.path().join("shared");
    let own = shared.join(format!("plugin-connectors-{}", rustix::process::geteuid().as_raw()));
    fs::create_dir_all(&own).unwrap();
    fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let missing = folder.path().join("missing");
    for (temp, part) in [(long, "choose a shorter name"), (shared, "can be entered"), (missing, "cannot listen")] {
        let mut engine = tokio::process::Command::new(std::env::current_exe().unwrap());
        engine.args(["--exact", "refusals::an_unusable_socket_directory_is_not_retried"]).kill_on_drop(true);
        let output = soon(engine.env_remove("XDG_RUNTIME_DIR").env("TMPDIR", temp).env(IS_ENGINE, part).output()).await;
        let output = output.unwrap();
        assert!(output.status.success(), "{part}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
