//! `connector info`.

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use connector_core::redacted_url;
use serde_json::Value;

use crate::completion;
use crate::failure::Failure;
use crate::host::{Host, Plugins};
use crate::output::{line, print};

/// Shows a plugin's profile and the state of its link.
#[derive(Args)]
pub(crate) struct Info {
    /// The plugin's name; may be left out if there is only one.
    #[arg(add = ArgValueCompleter::new(completion::plugins))]
    plugin: Option<String>,
    #[command(flatten)]
    plugins: Plugins,
}

impl Info {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let host = Host::new(self.plugins).await?;
        let name = match self.plugin {
            Some(name) => name,
            None if host.names.len() == 1 => host.names[0].clone(),
            None => return Err(Failure::usage(format!("name one of the plugins: {}", host.names.join(", ")))),
        };
        host.activate(&name).await?;
        let profile = host.engine.manager().profile(&name).and_then(|profile| serde_json::to_value(profile).ok());
        let state = host.engine.link_state(&name).map(|state| state.borrow().to_string());
        host.close().await;
        let mut profile = profile.unwrap_or_default();
        if let (Some(profile), Some(state)) = (profile.as_object_mut(), state) {
            profile.insert("link".to_owned(), state.into());
        }
        if let Some(Value::String(url)) =
            profile.get_mut("url").filter(|url| url.as_str().is_some_and(|url| url.contains("://")))
        {
            *url = redacted_url(url);
        }
        if json {
            return print(line(&profile.to_string()));
        }
        for (field, value) in profile.as_object().into_iter().flatten() {
            let value = match value {
                Value::String(text) => text.clone(),
                Value::Array(items) if items.iter().all(Value::is_string) => {
                    items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ")
                }
                other => other.to_string(),
            };
            print(format_args!("{field}: {}", line(&value)))?;
        }
        Ok(())
    }
}
