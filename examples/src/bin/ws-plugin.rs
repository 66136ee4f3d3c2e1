//! A plugin behind a websocket: serves `probe` to every engine that connects, and prints each connection and its end.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use conformance::probe;
use connector_core::LinkEnd;
use examples::{Done, Listen, report, serve_and_report};
use serde_json::json;
use transport_ws::{WsServer, WsServerConfig};

/// Serves the plugin `probe` over websockets on the loopback interface.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    listen: Listen,
    /// Cuts each connection after this many milliseconds, without a close, to show that engines reconnect.
    #[arg(long, value_name = "MS")]
    close_after: Option<u64>,
}

fn main() -> ExitCode {
    examples::run(serve(Args::parse()))
}

async fn serve(Args { listen, close_after }: Args) -> Done {
    let config = listen.allow_origin.into_iter().fold(WsServerConfig::default(), WsServerConfig::allow_origin);
    let server = WsServer::bind(("127.0.0.1", listen.port), config).await?;
    report(json!({ "event": "ready", "url": server.url() }));
    let cut_after = close_after.map(Duration::from_millis);
    serve_and_report(server, probe, cut_after, |end| json!({ "event": "close", "code": close_code(end) })).await
}

/// The code that a browser would report: 1005 for a close without a code, 1006 without a close (RFC 6455, 7.4.1).
fn close_code(end: &LinkEnd) -> u16 {
    match end {
        LinkEnd::Closed { code, .. } => code.unwrap_or(1005),
        LinkEnd::TooLarge { .. } => 1009,
        _ => 1006,
    }
}
