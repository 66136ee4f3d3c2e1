//! A local channel between ends whose environments differ.

use connector_core::Plugin;
use transport_ipc::local::{self, LocalName};
use transport_ipc::{Channel, ChannelKind, child};

use crate::support::*;

const IS_CHILD: &str = "ANOTHER_ENVIRONMENT_CHILD";

/// This program is its own child.
#[tokio::test]
async fn a_child_finds_its_engine_whatever_its_environment_says_of_folders() {
    if std::env::var_os(IS_CHILD).is_some() {
        let plugin = Plugin::new("p").method("echo", || async { std::env::var("TMPDIR").unwrap_or_default() });
        Channel::find().unwrap().serve(plugin).await;
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let test = "sockets::a_child_finds_its_engine_whatever_its_environment_says_of_folders";
    let program = || this_program(test).channel(ChannelKind::Local).env(IS_CHILD, "1");
    for (program, temp) in [
        (program().env("TMPDIR", folder), folder),
        (program().env("TMPDIR", folder).env("XDG_RUNTIME_DIR", folder).current_dir("/"), folder),
        (program().env("TMPDIR", "relative").current_dir(folder), "relative"),
        (program().inherit_env(["PATH"]), ""),
    ] {
        let host = Host::new().await;
        host.activate(child("p", program)).await.unwrap();
        assert_eq!(host.call().await.unwrap(), temp);
        soon(host.engine.shutdown()).await;
    }
}

#[tokio::test]
async fn the_url_of_a_server_means_the_same_everywhere() {
    let name = LocalName::unique().to_string();
    let (url, serving) = local::serve(&name, || Plugin::new("p")).unwrap();
    let path = url.strip_prefix("local:").unwrap();
    assert!(path.starts_with('/') && path.ends_with(&format!("/{name}.sock")), "{url}");
    drop(serving);
    let _ = std::fs::remove_file(format!("{path}.lock"));
}
