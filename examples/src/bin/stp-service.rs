//! A Sketch-thru-Plan service that sends the messages given to it, and prints what it sends, receives and answers.

use std::process::ExitCode;

use clap::{ArgGroup, Parser};
use connector_core::stp::{ErrorHandler, Frame, InformHandler, RequestHandler, StpConnector, StpService, StpTimeout};
use examples::{Done, naming_the_option, report};
use serde_json::{Value, json};
use transport_ws::WsConnectorConfig;
use transport_ws::stp::{StpWsConfig, StpWsConnector};

/// Connects a service to an STP, sends the given messages, and prints a line of JSON for each message. With solvables it
/// runs until it is interrupted; without, it exits once everything is sent and answered.
#[derive(Parser)]
#[command(version)]
#[command(group = ArgGroup::new("something to do").args(["solvables", "inform", "request"]).required(true).multiple(true))]
struct Args {
    /// Where STP listens, for example ws://127.0.0.1:9555; a path names the session.
    #[arg(long)]
    url: String,
    /// The service's name.
    #[arg(long)]
    name: String,
    /// The methods of the messages it handles, separated by commas.
    #[arg(long, value_delimiter = ',', default_value = "")]
    solvables: Vec<String>,
    /// The session to join; by default the URL's path, or the machine's session.
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// The token that the hub requires.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// A message to send once it is connected, for example {"method":"TaskAdded","params":{}}.
    #[arg(long, value_name = "JSON", value_parser = api_message)]
    inform: Option<String>,
    /// A message to send as a request, whose answer is printed.
    #[arg(long, value_name = "JSON")]
    request: Option<String>,
    /// The answer to each request; without it, requests are refused.
    #[arg(long, value_name = "JSON", value_parser = json_text)]
    answer: Option<String>,
    /// How long to wait for a connection and for an answer, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = seconds)]
    timeout: f64,
}

/// A text that STP does not drop.
fn api_message(text: &str) -> Result<String, String> {
    let why = match Frame::parse(text) {
        Ok(Frame::Inform(_)) => return Ok(text.to_owned()),
        Ok(_) => "its method belongs to the protocol".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(format!("STP would drop it ({why}): give a JSON object such as {{\"method\":\"TaskAdded\",\"params\":{{}}}}"))
}

fn json_text(text: &str) -> Result<String, String> {
    let parsed = serde_json::from_str::<Value>(text);
    parsed
        .map(|_| text.to_owned())
        .map_err(|error| format!("it is not JSON ({error}): give a value such as {{\"count\":1}}"))
}

/// STP would take 0 or less as 30 s.
fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 => Ok(seconds),
        _ => Err("give a number of seconds above 0, such as 30 or 0.5".to_owned()),
    }
}

fn main() -> ExitCode {
    examples::run(serve(Args::parse()))
}

async fn serve(args: Args) -> Done {
    let timeout = StpTimeout::from_seconds(args.timeout);
    let config = args.token.into_iter().fold(WsConnectorConfig::default(), WsConnectorConfig::token);
    let connector = StpWsConnector::with_config(&args.url, StpWsConfig::default().connector(config));
    connector.on_inform(InformHandler::new(|message| report(json!({ "event": "heard", "message": message }))));
    connector.on_error(ErrorHandler::new(|error| report(json!({ "event": "error", "error": error }))));
    if let Some(answer) = args.answer {
        connector.on_request(RequestHandler::new(move |message| {
            report(json!({ "event": "answered", "message": message, "answer": answer }));
            std::future::ready(Ok::<_, String>(answer.clone()))
        }));
    }

    let solvables: Vec<String> = args.solvables.into_iter().filter(|name| !name.is_empty()).collect();
    let stays = !solvables.is_empty();
    let mut service = StpService::new(args.name, solvables);
    service.session_id = args.session;
    service.machine_id = Some(gethostname::gethostname().to_string_lossy().into_owned());
    let session = connector.connect(service, timeout).await.map_err(naming_the_option)?;
    report(json!({ "event": "connected", "name": connector.name(), "session": session }));

    if let Some(message) = &args.inform {
        connector.inform(message, timeout).await?;
        report(json!({ "event": "informed", "message": message }));
    }
    if let Some(message) = &args.request {
        report(json!({ "event": "requested", "message": message }));
        match connector.request(message, timeout).await {
            Ok(answer) => report(json!({ "event": "answer", "answer": answer })),
            Err(error) if stays => report(json!({ "event": "refused", "error": error.to_string() })),
            Err(error) => return Err(error.into()),
        }
    }
    if stays {
        examples::interrupted().await;
    }
    connector.disconnect(timeout).await?;
    Ok(())
}
