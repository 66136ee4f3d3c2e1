//! A plugin behind a NATS server: serves `probe` to every engine that opens a session, and prints each session and its end.

use std::process::ExitCode;

use clap::Parser;
use conformance::probe_named;
use examples::{Done, report, serve_and_report};
use serde_json::json;
use transport_nats::{NatsConfig, NatsServer};

/// Serves the plugin `probe` at a NATS server, as one of its replicas.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// The NATS server, for example nats://127.0.0.1:4222, with a user and a password if it needs them.
    #[arg(long, env = "NATS_URL", hide_env_values = true)]
    server: String,
    /// The name under which the plugin is served.
    #[arg(long, default_value = "probe")]
    name: String,
    /// The replica's id; a random one by default.
    #[arg(long)]
    replica: Option<String>,
}

fn main() -> ExitCode {
    examples::run(serve(Args::parse()))
}

async fn serve(Args { server, name, replica }: Args) -> Done {
    let mut config = NatsConfig::new(server);
    config.replica = replica;
    let server = NatsServer::bind(&name, config).await?;
    report(json!({ "event": "ready", "url": server.url(), "replica": server.replica() }));
    serve_and_report(server, || probe_named(&name), None, |end| json!({ "event": "close", "reason": end.to_string() }))
        .await
}
