//! What to do instead of an argument that a command does not have.

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use connector_core::redacted_url;

const PLUGIN: &str = "give a plugin as --plugin NAME=URL, as --plugin NAME='COMMAND ARGS', or last as -- COMMAND ARGS";
const AT: &str = "ls, info, call, listen, stats and top look at a running engine with --at; the other commands do not";

/// Replaces the tip about an argument that is not expected.
pub(crate) fn with_hint(mut error: clap::Error) -> clap::Error {
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
