//! A plugin behind socket.io: serves `probe` to every engine that connects, and prints each connection and its end.

use std::process::ExitCode;

use clap::Parser;
use examples::{Done, report, serve_and_report};
use serde_json::json;
use transport_socketio::{SocketIoServer, SocketIoServerConfig};

/// Serves the plugin `probe` over socket.io on the loopback interface.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The port to listen on; 0 chooses a free one, which the `ready` line contains.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// An origin whose pages may connect, for example http://127.0.0.1:8080; may be given several times.
    #[arg(long, value_name = "ORIGIN")]
    allow_origin: Vec<String>,
}

fn main() -> ExitCode {
    examples::run(serve(Args::parse()))
}

async fn serve(args: Args) -> Done {
    let config =
        args.allow_origin.into_iter().fold(SocketIoServerConfig::default(), SocketIoServerConfig::allow_origin);
    let server = SocketIoServer::bind(("127.0.0.1", args.port), config).await?;
    report(json!({ "event": "ready", "url": server.url() }));
    serve_and_report(server, None, |end| json!({ "event": "close", "reason": end.to_string() })).await
}
