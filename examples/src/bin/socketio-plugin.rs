//! A plugin behind socket.io: serves `probe` to every engine that connects, and prints each connection and its end.

use std::process::ExitCode;

use clap::Parser;
use conformance::probe;
use examples::{Done, Listen, report, serve_and_report};
use serde_json::json;
use transport_socketio::{SocketIoServer, SocketIoServerConfig};

/// Serves the plugin `probe` over socket.io on the loopback interface.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    listen: Listen,
}

fn main() -> ExitCode {
    examples::run(serve(Args::parse()))
}

async fn serve(Args { listen }: Args) -> Done {
    let config =
        listen.allow_origin.into_iter().fold(SocketIoServerConfig::default(), SocketIoServerConfig::allow_origin);
    let server = SocketIoServer::bind(("127.0.0.1", listen.port), config).await?;
    report(json!({ "event": "ready", "url": server.url() }));
    serve_and_report(server, probe, None, |end| json!({ "event": "close", "reason": end.to_string() })).await
}
