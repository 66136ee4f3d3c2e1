//! A plugin behind a websocket: serves `probe` to every engine that connects, and prints each connection and its end.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use connector_core::LinkEnd;
use examples::{Done, report, serve_and_report};
use serde_json::json;
use transport_ws::{WsServer, WsServerConfig};

/// Serves the plugin `probe` over websockets on the loopback interface.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The port to listen on; 0 chooses a free one, which the `ready` line contains.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Cuts each connection after this many milliseconds, without a close, to show that engines reconnect.
    #[arg(long, value_name = "MS")]
    close_after: Option<u64>,
    /// The origin of pages that may connect, for example http://127.0.0.1:8080; may be given more than once. Without it none
    /// may.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
}

fn main() -> ExitCode {
    examples::run(serve(Args::parse()))
}

async fn serve(args: Args) -> Done {
    let config = args.allow_origin.into_iter().fold(WsServerConfig::default(), WsServerConfig::allow_origin);
    let server = WsServer::bind(("127.0.0.1", args.port), config).await?;
    report(json!({ "event": "ready", "url": server.url() }));
    let cut_after = args.close_after.map(Duration::from_millis);
    serve_and_report(server, cut_after, |end| json!({ "event": "close", "code": close_code(end) })).await
}

/// The code that a browser would report: 1005 for a close without a code, 1006 without a close (RFC 6455, 7.4.1).
fn close_code(end: &LinkEnd) -> u16 {
    match end {
        LinkEnd::Closed { code, .. } => code.unwrap_or(1005),
        LinkEnd::TooLarge { .. } => 1009,
        _ => 1006,
    }
}
