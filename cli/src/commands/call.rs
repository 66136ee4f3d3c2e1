//! `connector call`.

use std::io::Write;
use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use connector_core::Payload;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::completion;
use crate::failure::Failure;
use crate::host::Host;
use crate::output::{compact, json_line, line, print};
use crate::recording::{self, RecordTo};
use crate::target::Target;
use crate::viewer::Viewer;

/// Calls a method, and prints its result.
///
/// All plugins that are given are activated, because this one may call the others.
#[derive(Args)]
pub(crate) struct Call {
    /// The plugin's name, or the path of one of its services.
    #[arg(add = ArgValueCompleter::new(completion::plugins))]
    plugin: String,
    /// The method.
    #[arg(add = ArgValueCompleter::new(completion::methods))]
    method: String,
    /// The arguments: JSON, or else text.
    #[arg(allow_negative_numbers = true)]
    args: Vec<String>,
    #[command(flatten)]
    recording: RecordTo,
    #[command(flatten)]
    target: Target,
}

impl Call {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let args = arguments(self.args)?;
        let result = match self.target.viewer().await? {
            Some(viewer) => {
                self.recording.check_unused()?;
                call_at(viewer, self.plugin, self.method, &args, self.target.plugins.timeout).await?
            }
            None => {
                let host = Host::new(self.target.plugins).await?;
                let recorder = self.recording.start(&host.engine)?;
                host.activate_with_others(&self.plugin).await?;
                let outcome = host.local.call_within::<Payload>(host.timeout, &self.plugin, &self.method, args).await;
                host.close().await;
                recording::finish(recorder)?;
                json_line(&outcome?)?
            }
        };
        match json {
            true => print(format_args!("{{\"ok\":{result}}}")),
            false => print(result),
        }
    }
}

/// Of a running engine.
async fn call_at(
    mut viewer: Viewer,
    plugin: String,
    method: String,
    args: &Payload,
    limit: Duration,
) -> Result<String, Failure> {
    let args = args.to_json().map_err(|error| Failure::usage(error.to_string()))?;
    let args = serde_json::from_slice::<&RawValue>(&args).map_err(|error| Failure::usage(error.to_string()))?;
    let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
    let members = json!({ "plugin": plugin, "method": method, "timeout": limit_ms });
    let answer = viewer.request("call", members, Some(args), limit).await?;
    if let Some(length) = answer.cut {
        let _ = writeln!(std::io::stderr(), "the result has {length} bytes; only its beginning is shown, as a string");
    }
    Ok(line(&compact(answer.value.get())))
}

/// Arguments as JSON: each is JSON, or else text.
pub(super) fn arguments(args: Vec<String>) -> Result<Payload, Failure> {
    let args = args.into_iter().map(|arg| match serde_json::from_str::<&RawValue>(&arg) {
        Ok(json) => compact(json.get()),
        Err(_) => Value::String(arg).to_string(),
    });
    let args = format!("[{}]", args.collect::<Vec<_>>().join(","));
    Payload::from_json(args).map_err(|error| Failure::usage(error.to_string()))
}
