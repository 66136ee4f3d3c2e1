//! A client that requests a subprotocol from the websocket server: Node's `ws`, which is as strict as a browser.
#![cfg(feature = "ws")]

mod support;

use std::process::Stdio;

use connector_core::{ClientConfig, serve};
use support::{js, published_packages};
use tokio::process::Command;
use transport_ws::{WsServer, WsServerConfig};

/// Prints the negotiated subprotocol, or the error.
const CLIENT: &str = "
    const [url, ...asked] = process.argv.slice(1)
    const socket = new (require('ws'))(url, asked)
    socket.on('open', () => { console.log(socket.protocol); process.exit() })
    socket.on('error', error => { console.log(error.message); process.exit() })
";

#[tokio::test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
async fn a_requested_subprotocol_is_negotiated() {
    published_packages();
    for (spoken, asked, told) in [
        (&[][..], &[][..], ""),
        (&["v1", "v2"], &["v0", "v2", "v1"], "v2"),
        (&["v1"], &[], ""),
        (&["v1"], &["v2"], "Unexpected server response: 400"),
        (&[], &["v1"], "Unexpected server response: 400"),
    ] {
        let config = spoken.iter().fold(WsServerConfig::default(), |config, name| config.subprotocol(*name));
        let server = WsServer::bind("127.0.0.1:0", config).await.unwrap();
        let mut node = Command::new("node");
        node.current_dir(js()).args(["-e", CLIENT, "--", &server.url()]).args(asked).stdin(Stdio::null());
        let serving = tokio::spawn(serve(server, conformance::probe, ClientConfig::default()));
        let output = node.kill_on_drop(true).output().await.unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), told, "{spoken:?} {asked:?}");
        serving.abort();
    }
}
