//! How a command fails: what it prints, and its exit code.

use std::process::ExitCode;

use connector_core::{ActivateError, CallError, Payload};
use serde_json::{Value, json};

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  the plugin's method returned an error
  2  the command line is wrong
  3  a plugin could not be started or reached
  4  the engine refused: unknown plugin or method, too many calls
  5  it took too long
  6  the link to the plugin was lost";

/// What goes wrong, with the exit code for it.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    /// A text, or the error of a plugin as it came; `null` if it has been printed.
    error: Value,
}

impl Failure {
    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure { code: 2, error: Value::String(text.into()) }
    }

    pub(crate) fn unreachable(text: impl Into<String>) -> Failure {
        Failure { code: 3, error: Value::String(text.into()) }
    }

    pub(crate) fn refused(text: impl Into<String>) -> Failure {
        Failure { code: 4, error: Value::String(text.into()) }
    }

    /// With its exit code only, because what failed has been printed.
    pub(crate) fn silent(self) -> Failure {
        Failure { error: Value::Null, ..self }
    }

    /// As text; a plugin's error that is no text, as JSON.
    pub(crate) fn text(&self) -> String {
        match &self.error {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }

    pub(crate) fn print(&self, json: bool) {
        if self.error.is_null() {
            return;
        }
        match json {
            true => println!("{}", json!({ "error": self.error })),
            false => eprintln!("error: {}", self.text()),
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<ActivateError> for Failure {
    fn from(error: ActivateError) -> Failure {
        Failure::unreachable(error.to_string())
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        let code = match &error {
            CallError::Plugin(_) => 1,
            CallError::Arguments(_) => 2,
            CallError::TimedOut(_) => 5,
            CallError::LinkLost(_) => 6,
            _ => 4,
        };
        let text = || Value::String(error.to_string());
        Failure { code, error: parsed(&error.to_payload()).unwrap_or_else(text) }
    }
}

/// A payload as a JSON value.
pub(crate) fn parsed(payload: &Payload) -> Option<Value> {
    serde_json::from_slice(&payload.to_json().ok()?).ok()
}
