//! How a command fails: what it prints, and its exit code.

use std::io::Write;
use std::process::ExitCode;

use connector_core::{ActivateError, CallError, Payload};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use transport_ipc::ChildEnd;

use crate::output::line;
use crate::settings::in_words_of_the_command;

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  success; also if Ctrl-C ends a command that runs until then
  1  the plugin's method returned an error
  2  the command line, or a file that it names, is wrong
  3  a plugin, or an inspector, could not be started or reached
  4  the engine refused: unknown plugin or method, denied by a rule, too many calls
  5  it took too long
  6  the link to the plugin, or to an inspector, was lost
  7  a replay differs from its recording
  8  this machine failed: the output cannot be written";

/// The exit code for an error of a plugin's method.
const PLUGIN: u8 = 1;

/// What goes wrong, with the exit code for it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    code: u8,
    /// A text, or the error of a plugin as it came; `null` if it has been printed.
    error: Value,
}

impl Failure {
    /// The texts of plugins stay as they came.
    fn new(code: u8, error: Value) -> Failure {
        match error {
            Value::String(text) if code != PLUGIN => {
                Failure { code, error: Value::String(in_words_of_the_command(&text)) }
            }
            error => Failure { code, error },
        }
    }

    pub(crate) fn usage(text: impl Into<String>) -> Failure {
        Failure::new(2, Value::String(text.into()))
    }

    pub(crate) fn unreachable(text: impl Into<String>) -> Failure {
        Failure::new(3, Value::String(text.into()))
    }

    pub(crate) fn refused(text: impl Into<String>) -> Failure {
        Failure::new(4, Value::String(text.into()))
    }

    pub(crate) fn late(text: impl Into<String>) -> Failure {
        Failure::new(5, Value::String(text.into()))
    }

    pub(crate) fn lost(text: impl Into<String>) -> Failure {
        Failure::new(6, Value::String(text.into()))
    }

    /// An error that an inspector answers: see docs/inspector-protocol.md.
    pub(crate) fn of_code(kind: &str, error: &RawValue) -> Failure {
        let code = match kind {
            "plugin" => PLUGIN,
            "arguments" | "request" => 2,
            "activation" => 3,
            "timedOut" | "cancelled" => 5,
            "linkLost" => 6,
            _ => 4,
        };
        // One that is nested too deeply is shown as text.
        let error = serde_json::from_str(error.get()).unwrap_or_else(|_| Value::String(error.get().to_owned()));
        match (kind, &error) {
            ("timedOut", Value::String(text)) => Failure::late(with_limit(text)),
            _ => Failure::new(code, error),
        }
    }

    /// What is wrong is neither with the command line nor with a plugin.
    pub(crate) fn machine(text: impl Into<String>) -> Failure {
        Failure { code: 8, error: Value::String(text.into()) }
    }

    /// Its differences have been printed.
    pub(crate) fn differs() -> Failure {
        Failure { code: 7, error: Value::Null }
    }

    /// Nothing reads the output any more, which ends the command and is not an error.
    pub(crate) fn unread() -> Failure {
        Failure { code: 0, error: Value::Null }
    }

    /// With its exit code only, because what failed has been printed.
    pub(crate) fn silent(self) -> Failure {
        Failure { error: Value::Null, ..self }
    }

    /// As text; a plugin's error of another type, as JSON.
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
        // The exit code remains if nothing reads the output any more.
        let _ = match json {
            true => writeln!(std::io::stdout(), "{}", line(&json!({ "error": self.error }).to_string())),
            false => writeln!(std::io::stderr(), "error: {}", lines(&self.text())),
        };
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}

impl From<ActivateError> for Failure {
    fn from(error: ActivateError) -> Failure {
        let text = match ChildEnd::of_activation(&error) {
            Some(end) => ended_at_start(end),
            None => error.to_string(),
        };
        Failure::unreachable(text)
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Failure {
        let code = match &error {
            CallError::Plugin(_) => PLUGIN,
            CallError::Arguments(_) => 2,
            CallError::TimedOut(text) => return Failure::late(with_limit(text)),
            CallError::LinkLost(_) => 6,
            _ => 4,
        };
        let text = || Value::String(error.to_string());
        if let Some(end) = ChildEnd::of(&error) {
            return Failure::lost(with_stderr(error.to_string(), Some(end)));
        }
        Failure::new(code, parsed(&error.to_payload()).unwrap_or_else(text))
    }
}

/// The text of a call that took too long, with the limit that ended it and how to raise that.
fn with_limit(text: &str) -> String {
    // The published engine's text names none.
    let limit = match text.starts_with("[TIMEOUT] ") {
        true => "it ran for longer than the plugin's own limit: raise its \"queue_timeout\" in the host file",
        false => "raise it with --timeout",
    };
    format!("{text}; {limit}")
}

/// A program that could not be started, or has ended before it was active, in the words of the command line.
fn ended_at_start(end: &ChildEnd) -> String {
    let how = match end.status {
        Some(status) => format!("ended with {status}"),
        None => "closed its channel and was killed".to_owned(),
    };
    let mut text = format!("the program `{}` {how} before the plugin was active", end.program);
    if end.withheld_env > 0 {
        let withheld = end.withheld_env;
        text.push_str(&format!(
            "; {withheld} environment variables were not passed on, which it may need: pass one with `-- env NAME=value \
             COMMAND`, or `env` or `inherit_env` in a host file"
        ));
    }
    if !end.stderr.is_empty() {
        text.push_str(". It printed:");
    }
    with_stderr(text, Some(end))
}

/// An error, and the last lines that the program printed on its standard error.
pub(crate) fn with_stderr(error: String, end: Option<&ChildEnd>) -> String {
    let lines = end.into_iter().flat_map(|end| &end.stderr);
    lines.fold(error, |text, line| format!("{text}\n  {line}"))
}

/// Text of a plugin, whose control characters cannot change what a terminal shows.
pub(crate) fn lines(text: &str) -> String {
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// A payload as a JSON value.
pub(crate) fn parsed(payload: &Payload) -> Option<Value> {
    serde_json::from_slice(&payload.to_json().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use connector_core::CallError;

    use super::{EXIT_CODES, Failure};

    #[test]
    fn a_call_that_takes_too_long_names_its_limit() {
        for (text, limit) in [
            ("[TIMEOUT] Timeout for call work from connector", "raise its \"queue_timeout\" in the host file"),
            ("work of plugin did not complete within the caller's limit of 1s", "raise it with --timeout"),
        ] {
            let shown = Failure::from(CallError::TimedOut(text.to_owned())).text();
            assert!(shown.starts_with(text) && shown.ends_with(limit), "{shown}");
        }
    }

    #[test]
    fn the_documentation_has_every_exit_code() {
        let document = include_str!("../README.md");
        for code in EXIT_CODES.lines().skip(1) {
            let (number, meaning) = code.trim().split_once("  ").unwrap();
            assert!(document.contains(&format!("| {number} | {meaning} |")), "{code}");
        }
    }
}
