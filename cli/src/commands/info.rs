//! `connector info`.

use std::time::Duration;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use connector_core::redacted_url;
use serde_json::Value;

use crate::completion;
use crate::failure::Failure;
use crate::host::Host;
use crate::output::{line, print};
use crate::settings::in_words_of_the_command;
use crate::target::Target;
use crate::viewer::Viewer;

/// Shows a plugin's profile and the state of its link.
#[derive(Args)]
pub(crate) struct Info {
    /// The plugin's name; may be left out if there is only one.
    #[arg(add = ArgValueCompleter::new(completion::plugins))]
    plugin: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Info {
    pub(crate) async fn run(self, json: bool) -> Result<(), Failure> {
        let (mut profile, link) = match self.target.viewer().await? {
            Some(viewer) => profile_at(viewer, self.plugin, self.target.plugins.timeout).await?,
            None => profile_of(Host::new(self.target.plugins).await?, self.plugin).await?,
        };
        if let (Some(profile), Some(link)) = (profile.as_object_mut(), link) {
            profile.insert("link".to_owned(), link.into());
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

/// The one that is named, or else the only one.
fn chosen<'a>(plugin: Option<String>, names: impl Iterator<Item = &'a str>) -> Result<String, Failure> {
    let names: Vec<_> = names.collect();
    match (plugin, names.as_slice()) {
        (Some(name), _) => Ok(name),
        (None, [name]) => Ok((*name).to_owned()),
        (None, _) => Err(Failure::usage(format!("name one of the plugins: {}", names.join(", ")))),
    }
}

/// The profile, and the state of the link.
type ProfileAndLink = (Value, Option<String>);

async fn profile_of(host: Host, plugin: Option<String>) -> Result<ProfileAndLink, Failure> {
    let name = chosen(plugin, host.names.iter().map(String::as_str))?;
    host.activate(&name).await?;
    let profile = host.engine.manager().profile(&name).and_then(|profile| serde_json::to_value(profile).ok());
    let state = host.engine.link_state(&name).map(|state| in_words_of_the_command(&state.borrow().to_string()));
    host.close().await;
    Ok((profile.unwrap_or_default(), state))
}

/// Of a running engine.
async fn profile_at(mut viewer: Viewer, plugin: Option<String>, limit: Duration) -> Result<ProfileAndLink, Failure> {
    let name = chosen(plugin, viewer.plugins().await?.map(|(name, _)| name))?;
    let mut details = viewer.details(&name, limit).await?;
    let link = details["links"].as_array().and_then(|links| links.last()).map(|link| match link["text"].as_str() {
        Some(why) => format!("{} ({why})", link["state"].as_str().unwrap_or_default()),
        None => link["state"].as_str().unwrap_or_default().to_owned(),
    });
    Ok((details["profile"].take(), link))
}
