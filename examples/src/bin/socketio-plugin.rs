//! A plugin behind socket.io: serves `probe` to every engine that connects, and prints who comes and goes.

use std::process::ExitCode;

use clap::Parser;
use connector_core::conformance::probe;
use connector_core::{ClientConfig, ClientConnector, connect};
use examples::{Done, report};
use serde_json::json;
use transport_socketio::{SocketIoServer, SocketIoServerConfig};

/// Serves the plugin `probe` over socket.io on the loopback interface.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The port to listen on; 0 takes a free one, which the `ready` line names.
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
    let mut server = SocketIoServer::bind(("127.0.0.1", args.port), config).await?;
    report(json!({ "event": "ready", "url": server.url() }));
    loop {
        let link = server.accept().await?;
        report(json!({ "event": "connection" }));
        let (_client, session) = connect(link, probe(), ClientConfig::default());
        tokio::spawn(async move { report(json!({ "event": "close", "reason": session.await.to_string() })) });
    }
}
