//! What an engine knows about a plugin.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::redact::{redacted_url, url_without_secrets};

/// Describes a plugin. Only the name is required. All fields of the published packages, and any other field that a host
/// adds, survive a round trip. `Debug` shows the URL as [`redacted_url`](crate::redacted_url()) does.
///
/// ```
/// use connector_core::{Plugin, Profile};
///
/// let mut profile = Profile::new("editor").with_events(["saved"]);
/// profile.display_name = Some("Editor".to_owned());
/// let plugin = Plugin::new(profile);
/// ```
#[serde_with::skip_serializing_none]
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs, reason = "the published field names are self-explanatory; the others are documented")]
#[non_exhaustive]
pub struct Profile {
    /// Unique in an engine, and the first part of every path.
    pub name: String,
    /// Where an external plugin runs; set by [`ExternalProfile`].
    pub url: Option<String>,
    pub display_name: Option<String>,
    /// The methods that others may call. Set by the handshake and by services; for a native plugin, by its method
    /// table.
    pub methods: Option<Vec<String>>,
    /// The events that the plugin emits. Informational only: any event may be emitted and listened to.
    pub events: Option<Vec<String>>,
    pub permission: Option<bool>,
    pub hash: Option<String>,
    pub description: Option<String>,
    pub documentation: Option<String>,
    pub version: Option<String>,
    pub kind: Option<String>,
    /// Plugins that this one may activate. Honoured by the policy.
    pub can_activate: Option<Vec<String>>,
    pub icon: Option<String>,
    pub maintained_by: Option<String>,
    pub author: Option<String>,
    pub repo: Option<String>,
    pub author_contact: Option<String>,
    /// Where a view is placed (the published `LocationProfile`).
    pub location: Option<String>,
    /// All other fields.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl Profile {
    /// A profile with only a name.
    pub fn new(name: impl Into<String>) -> Profile {
        Profile { name: name.into(), ..Profile::default() }
    }

    /// Sets the declared events.
    #[must_use]
    pub fn with_events<S: Into<String>>(mut self, events: impl IntoIterator<Item = S>) -> Profile {
        self.events = Some(events.into_iter().map(Into::into).collect());
        self
    }

    /// This profile as other plugins see it: its URL contains no secrets.
    pub(crate) fn without_secrets(mut self) -> Profile {
        self.url = self.url.as_deref().map(url_without_secrets);
        self
    }

    /// This profile overlaid with the fields of `update`, like JavaScript's `{...profile, ...update}`.
    pub(crate) fn merged(&self, update: Map<String, Value>) -> Result<Profile, serde_json::Error> {
        let mut merged = serde_json::to_value(self)?;
        if let Value::Object(fields) = &mut merged {
            fields.extend(update);
        }
        serde_json::from_value(merged)
    }
}

/// Formats as JSON, because most fields are absent.
impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = Profile { url: self.url.as_deref().map(redacted_url), ..self.clone() };
        match serde_json::to_string(&shown) {
            Ok(json) => write!(f, "Profile {json}"),
            Err(_) => f.debug_struct("Profile").field("name", &self.name).finish_non_exhaustive(),
        }
    }
}

impl From<&str> for Profile {
    fn from(name: &str) -> Profile {
        Profile::new(name)
    }
}

impl From<String> for Profile {
    fn from(name: String) -> Profile {
        Profile::new(name)
    }
}

/// A profile with the URL of its plugin. `Debug` shows the URL as [`redacted_url`](crate::redacted_url()) does.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Profile", try_from = "Profile")]
#[non_exhaustive]
pub struct ExternalProfile {
    /// The plugin.
    pub profile: Profile,
    /// The URL that the transport connects to, after [`transform_url`].
    pub url: String,
}

impl ExternalProfile {
    /// The plugin `profile` (a name is enough) at `url`.
    pub fn new(profile: impl Into<Profile>, url: impl Into<String>) -> ExternalProfile {
        ExternalProfile { profile: profile.into(), url: url.into() }
    }
}

impl fmt::Debug for ExternalProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = redacted_url(&self.url);
        f.debug_struct("ExternalProfile").field("profile", &self.profile).field("url", &url).finish()
    }
}

impl From<ExternalProfile> for Profile {
    fn from(external: ExternalProfile) -> Profile {
        Profile { url: Some(external.url), ..external.profile }
    }
}

impl TryFrom<Profile> for ExternalProfile {
    type Error = &'static str;

    fn try_from(mut profile: Profile) -> Result<ExternalProfile, &'static str> {
        let url = profile.url.take().ok_or("the profile of an external plugin needs a `url`")?;
        Ok(ExternalProfile { profile, url })
    }
}

/// The effective URL of a plugin: `ipfs://` and `swarm://` go through a gateway, any other URL is unchanged.
/// Replaceable with [`PluginOptions::transform_url`](crate::PluginOptions).
pub fn transform_url(name: &str, url: &str) -> String {
    if let Some(rest) = url.strip_prefix("ipfs://") {
        format!("https://{name}.dyn.plugin.remixproject.org/ipfs/{rest}")
    } else if let Some(rest) = url.strip_prefix("swarm://") {
        format!("https://swarm-gateways.net/bzz-raw://{rest}")
    } else {
        url.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_survives_a_round_trip() {
        let all = serde_json::json!({
            "name": "p", "displayName": "P", "methods": ["a"], "events": ["e"], "permission": true, "hash": "h",
            "description": "d", "documentation": "doc", "version": "1", "kind": "k", "canActivate": ["q"], "icon": "i",
            "maintainedBy": "m", "author": "au", "repo": "r", "authorContact": "c", "location": "side", "url": "ws://x",
            "notifications": {"solidity": ["done"]}, "somethingNew": [1, {"two": null}],
        });
        let profile: Profile = serde_json::from_value(all.clone()).unwrap();
        assert_eq!(serde_json::to_value(&profile).unwrap(), all);
        let external: ExternalProfile = serde_json::from_value(all.clone()).unwrap();
        assert_eq!(external.url, "ws://x");
        assert_eq!(serde_json::to_value(&external).unwrap(), all);
        assert_eq!(serde_json::to_value(Profile::new("p")).unwrap(), serde_json::json!({"name": "p"}));
        serde_json::from_value::<ExternalProfile>(serde_json::json!({"name": "p"})).unwrap_err();
    }

    #[test]
    fn debug_output_hides_the_secrets_of_a_url() {
        let external = ExternalProfile::new("p", "ws://user:s3cret@127.0.0.1:9/t0ken");
        for text in [format!("{external:?}"), format!("{:?}", Profile::from(external))] {
            assert!(!text.contains("s3cret") && !text.contains("t0ken"), "{text}");
            assert!(text.contains("ws://127.0.0.1:9"), "{text}");
        }
    }

    #[test]
    fn ipfs_and_swarm_urls_go_through_a_gateway() {
        assert_eq!(transform_url("p", "ipfs://Qm1"), "https://p.dyn.plugin.remixproject.org/ipfs/Qm1");
        assert_eq!(transform_url("p", "swarm://ab"), "https://swarm-gateways.net/bzz-raw://ab");
        assert_eq!(transform_url("p", "ws://localhost:1"), "ws://localhost:1");
    }
}
