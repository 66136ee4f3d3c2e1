//! A small STP hub: Sketch-thru-Plan services register with it and exchange messages through it.

use std::process::ExitCode;

use clap::Parser;
use connector_core::stp::StpTimeout;
use examples::{Done, Listen, naming_the_option, report};
use serde_json::json;
use transport_ws::stp::{StpHub, StpHubConfig, list};
use transport_ws::{WsConnectorConfig, WsServerConfig};

/// Serves Sketch-thru-Plan services on the loopback interface and routes their messages by solvable.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    listen: Listen,
    /// The token that services must send, or that the hub to list requires.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Lists the sessions, services and solvables of the hub at URL, and exits. Without a token, only the session that
    /// the URL's path names.
    #[arg(long, value_name = "URL", conflicts_with_all = ["port", "allow_origin"])]
    list: Option<String>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    examples::run(async move {
        match &args.list {
            Some(url) => show(url, args.token).await,
            None => serve(args.listen, args.token).await,
        }
    })
}

async fn serve(listen: Listen, token: Option<String>) -> Done {
    let mut config = StpHubConfig::default();
    config.server = listen.allow_origin.into_iter().fold(config.server, WsServerConfig::allow_origin);
    config.server.token = token;
    let hub = StpHub::bind(("127.0.0.1", listen.port), config).await.map_err(naming_the_option)?;
    report(json!({ "event": "ready", "url": hub.url() }));
    hub.serve_until(examples::interrupted()).await;
    Ok(())
}

async fn show(url: &str, token: Option<String>) -> Done {
    let lists_all = token.is_some();
    let config = token.into_iter().fold(WsConnectorConfig::default(), WsConnectorConfig::token);
    let listing = list(url, config, StpTimeout::from_seconds(10.0)).await.map_err(naming_the_option)?;
    report(listing.to_string().trim_end());
    match listing.sessions.is_empty() && !lists_all {
        true => Err("the hub has no such session: check the session's id, which is the url's path".into()),
        false => Ok(()),
    }
}
