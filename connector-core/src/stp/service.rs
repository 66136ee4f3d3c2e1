//! The description with which a service registers.

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::registration_limits::BadService;

/// The method of the message that registers a service (docs/protocol.md, section 8.2).
pub const REGISTER: &str = "Register";

/// A service's registration: its name, its solvables, its machine and its session.
///
/// ```
/// use connector_core::stp::StpService;
///
/// let service = StpService::new("Tasks", ["TaskAdded", "TaskRemoved"]).machine_id("desk-7").session_id("exercise");
/// assert_eq!(service.solvables, ["TaskAdded", "TaskRemoved"]);
/// ```
#[serde_with::skip_serializing_none]
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct StpService {
    /// The service's name. A connector appends a suffix, so that no two instances share it.
    #[serde(default)]
    pub service_name: String,
    /// The service's programming language. Default: `rust`.
    #[serde(default)]
    pub language: String,
    /// The methods of the messages that it handles. Read from an array or from one comma-separated string.
    #[serde(default, deserialize_with = "solvables")]
    pub solvables: Vec<String>,
    /// The machine it runs on. Used as the session's id if neither [`session_id`](StpService::session_id) nor the
    /// connection's URL contains one. Default: none.
    pub machine_id: Option<String>,
    /// The requested session. Default: none.
    pub session_id: Option<String>,
}

impl StpService {
    /// A service with this name that handles messages of these methods.
    pub fn new<S: Into<String>>(name: impl Into<String>, solvables: impl IntoIterator<Item = S>) -> StpService {
        StpService {
            service_name: name.into(),
            language: "rust".to_owned(),
            solvables: solvables.into_iter().map(Into::into).collect(),
            machine_id: None,
            session_id: None,
        }
    }

    /// Sets [`machine_id`](StpService#structfield.machine_id).
    #[must_use]
    pub fn machine_id(mut self, id: impl Into<String>) -> StpService {
        self.machine_id = Some(id.into());
        self
    }

    /// Sets [`session_id`](StpService#structfield.session_id).
    #[must_use]
    pub fn session_id(mut self, id: impl Into<String>) -> StpService {
        self.session_id = Some(id.into());
        self
    }

    /// Reads the `params` of a Register message in either form. Empty ids count as absent.
    ///
    /// # Errors
    /// The name is missing, or the params have another shape or are too large.
    pub fn from_params(params: Option<&RawValue>) -> Result<StpService, BadService> {
        let params = params.map_or("{}", RawValue::get);
        let mut service: StpService =
            serde_json::from_str(params).map_err(|error| BadService::NotAService(error.to_string()))?;
        service.machine_id.take_if(|id| id.is_empty());
        service.session_id.take_if(|id| id.is_empty());
        service.check()?;
        Ok(service)
    }

    /// The API message that registers the service, in the later form (docs/protocol.md, section 8.2).
    pub fn to_message(&self) -> String {
        // Strings with string keys always serialize.
        serde_json::json!({ "method": REGISTER, "params": self }).to_string()
    }
}

/// A name unique among instances: the base name and a random suffix, as in the published connector.
pub fn unique_name(base_name: &str) -> String {
    let suffix: String = std::iter::repeat_with(fastrand::alphanumeric).take(9).collect();
    format!("{base_name}_{suffix}")
}

fn solvables<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(Solvables)
}

struct Solvables;

impl<'de> Visitor<'de> for Solvables {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array of strings, or one string with commas between them")
    }

    fn visit_str<E>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
    }

    fn visit_unit<E>(self) -> Result<Vec<String>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<String>, A::Error> {
        let mut names = Vec::new();
        while let Some(name) = seq.next_element()? {
            names.push(name);
        }
        Ok(names)
    }
}
