//! `connector call`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use connector_core::Payload;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::completion;
use crate::failure::Failure;
use crate::host::{Host, Plugins};
use crate::output::{compact, json_line, print};
use crate::recording::{self, RecordTo};

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
    plugins: Plugins,
}

impl Call {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let args = arguments(self.args)?;
        let host = Host::new(self.plugins).await?;
        let recorder = self.recording.start(&host.engine)?;
        host.activate_with_others(&self.plugin).await?;
        let outcome = host.local.call_within::<Payload>(host.timeout, &self.plugin, &self.method, args).await;
        host.close().await;
        recording::finish(recorder)?;
        let result = json_line(&outcome?)?;
        match json {
            true => print(format_args!("{{\"ok\":{result}}}")),
            false => print(result),
        }
    }
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
