//! What to do instead of an argument that a command does not have.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use connector_core::redacted_url;

const PLUGIN: &str = "give a plugin as --plugin NAME=URL, as --plugin NAME='COMMAND ARGS', or last as -- COMMAND ARGS";
/// About a running engine.
pub(crate) const AT: &str =
    "ls, info, call, listen, stats and top look at a running engine with --at; the other commands do not";

/// Replaces the tip about an argument that is not expected.
pub(crate) fn with_hint(mut error: clap::Error) -> clap::Error {
    if error.kind() == clap::error::ErrorKind::ArgumentConflict {
        return with_variable(error);
    }
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg).cloned() else { return error };
    if error.kind() != clap::error::ErrorKind::UnknownArgument {
        return error;
    }
    let hint = match argument.as_str() {
        "--at" => AT,
        option if option.starts_with('-') => return error,
        _ => PLUGIN,
    };
    // It may contain a password.
    if argument.contains("://") {
        error.insert(ContextKind::InvalidArg, ContextValue::String(redacted_url(&argument)));
    }
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![StyledStr::from(hint)]));
    error
}

/// Names the variable of an option that is not on the line and conflicts with one that is.
fn with_variable(mut error: clap::Error) -> clap::Error {
    let is_typed = |option: &str| {
        let mut words = std::env::args_os().take_while(|word| word != "--");
        words.any(|word| word.to_string_lossy().split('=').next() == Some(option))
    };
    let text = error.to_string();
    let variables = [("--at", "CONNECTOR_AT"), ("--host", "CONNECTOR_HOST")];
    let hint = |(option, variable): (&str, &str)| {
        let is_set = text.contains(&format!("'{option} ")) && !is_typed(option) && std::env::var_os(variable).is_some();
        is_set.then(|| StyledStr::from(format!("{option} comes from the variable {variable}: unset it")))
    };
    let hints: Vec<StyledStr> = variables.into_iter().filter_map(hint).collect();
    if !hints.is_empty() {
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(hints));
    }
    error
}
