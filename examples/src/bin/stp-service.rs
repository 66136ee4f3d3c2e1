//! A Sketch-thru-Plan service that sends the messages given to it, and prints what it receives and answers.

use std::process::ExitCode;

use clap::Parser;
use connector_core::stp::{InformHandler, RequestHandler, StpConnector, StpService, StpTimeout};
use examples::{Done, report};
use serde_json::json;
use transport_ws::WsConnectorConfig;
use transport_ws::stp::{StpWsConfig, StpWsConnector};

/// Connects a service to an STP, sends the given messages, and prints a line of JSON for each one it receives. With
/// solvables it runs until it is interrupted; without, it exits once everything is sent and answered.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where STP listens; the path names the session, for example ws://127.0.0.1:9555/demo.
    url: String,
    /// The service's name.
    name: String,
    /// The methods of the messages it handles.
    solvables: Vec<String>,
    /// The token that the hub requires.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The answer to each request.
    #[arg(long, value_name = "JSON", default_value = "null")]
    answer: String,
    /// A message to send, for example {"method":"TaskAdded","params":{}}.
    #[arg(long, value_name = "JSON")]
    inform: Option<String>,
    /// A message to send as a request.
    #[arg(long, value_name = "JSON")]
    request: Option<String>,
}

fn main() -> ExitCode {
    examples::run(serve(Args::parse()))
}

async fn serve(Args { url, name, solvables, token, answer, inform, request }: Args) -> Done {
    let connector = token.into_iter().fold(WsConnectorConfig::default(), WsConnectorConfig::token);
    let stp = StpWsConnector::with_config(url, StpWsConfig::default().connector(connector));
    let (limit, stays) = (StpTimeout::default(), !solvables.is_empty());
    stp.on_inform(InformHandler::new(|message| report(json!({ "event": "heard", "message": message }))));
    stp.on_request(RequestHandler::new(move |message| {
        report(json!({ "event": "answered", "message": message, "answer": answer }));
        std::future::ready(Ok::<_, String>(answer.clone()))
    }));
    let session = stp.connect(StpService::new(name, solvables), limit).await?;
    report(json!({ "event": "connected", "name": stp.name(), "session": session }));
    if let Some(message) = inform {
        stp.inform(&message, limit).await?;
    }
    if let Some(message) = request {
        report(json!({ "event": "answer", "answer": stp.request(&message, limit).await? }));
    }
    if stays {
        examples::interrupted().await;
    }
    Ok(stp.disconnect(limit).await?)
}
