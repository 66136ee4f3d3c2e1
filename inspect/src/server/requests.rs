//! The messages of a viewer, and the responses to them.

use connector_core::{ActivateError, CallError};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::capture::Capture;
use crate::recent::Filter;

/// Maximum length of a result that is passed on, in bytes.
const MAX_RESULT: usize = 1 << 20;

/// A viewer's message. Which members it needs follows from its type.
#[derive(Deserialize)]
pub(super) struct Request {
    pub(super) r#type: String,
    pub(super) id: Option<Value>,
    pub(super) plugin: Option<String>,
    pub(super) method: Option<String>,
    pub(super) event: Option<String>,
    pub(super) args: Option<Box<RawValue>>,
    pub(super) timeout: Option<u64>,
    pub(super) call: Option<Value>,
    pub(super) listen: Option<Value>,
    pub(super) before: Option<u64>,
    pub(super) limit: Option<usize>,
    /// `Some(None)` if it is `null`.
    #[serde(default, deserialize_with = "present")]
    pub(super) filter: Option<Option<Filter>>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Filter>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

#[derive(Serialize)]
pub(super) struct Response<'a> {
    r#type: &'static str,
    id: &'a Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    took: Option<u64>,
}

/// How a request ended.
pub(super) enum Outcome {
    Ok(Box<RawValue>, Option<usize>),
    Failed { code: &'static str, error: Box<RawValue>, cut: Option<usize> },
}

impl Outcome {
    /// A value of the inspector's own.
    pub(super) fn ok(value: &impl Serialize) -> Outcome {
        match to_raw_value(value) {
            Ok(value) => Outcome::Ok(value, None),
            Err(error) => Outcome::failed("request", &error.to_string()),
        }
    }

    pub(super) fn failed(code: &'static str, error: &str) -> Outcome {
        Outcome::Failed { code, error: to_raw_value(error).unwrap_or_else(|_| null()), cut: None }
    }

    pub(super) fn of_call(called: Result<connector_core::Payload, CallError>, capture: &Capture) -> Outcome {
        match called {
            Ok(result) => {
                let (ok, cut) = capture.shown(&result, MAX_RESULT);
                Outcome::Ok(ok.unwrap_or_else(null), cut)
            }
            Err(error) => {
                let (text, cut) = capture.shown(&error.to_payload(), MAX_RESULT);
                Outcome::Failed { code: code(&error), error: text.unwrap_or_else(null), cut }
            }
        }
    }

    pub(super) fn of_change(changed: Result<(), ActivateError>) -> Outcome {
        match changed {
            Ok(()) => Outcome::ok(&true),
            Err(error) => Outcome::failed("activation", &error.to_string()),
        }
    }

    /// The response, as JSON. `took` is in microseconds.
    pub(super) fn response(self, id: &Value, took: Option<u64>) -> String {
        let mut response = Response { r#type: "result", id, ok: None, error: None, code: None, cut: None, took };
        match self {
            Outcome::Ok(ok, cut) => (response.ok, response.cut) = (Some(ok), cut),
            Outcome::Failed { code, error, cut } => {
                (response.code, response.error, response.cut) = (Some(code), Some(error), cut);
            }
        }
        serde_json::to_string(&response).unwrap_or_default()
    }
}

fn code(error: &CallError) -> &'static str {
    match error {
        CallError::Arguments(_) => "arguments",
        CallError::Refused(_) => "refused",
        CallError::TimedOut(_) => "timedOut",
        CallError::Cancelled(_) => "cancelled",
        CallError::LinkLost(_) => "linkLost",
        _ => "plugin",
    }
}

pub(super) fn null() -> Box<RawValue> {
    RawValue::NULL.to_owned()
}
