//! The URL of a local server.

use connector_core::Plugin;
use transport_ipc::local::{self, LocalName};

#[tokio::test]
async fn the_url_of_a_server_is_absolute() {
    let name = LocalName::unique().to_string();
    let (url, serving) = local::serve(&name, || Plugin::new("p")).unwrap();
    let path = url.strip_prefix("local:").unwrap();
    assert!(path.starts_with('/') && path.ends_with(&format!("/{name}.sock")), "{url}");
    drop(serving);
    let _ = std::fs::remove_file(format!("{path}.lock"));
}
