//! Compares messages with recorded ones, and describes the differences.

use std::fmt;

use connector_core::{Action, Message, Payload};
use serde_json::Value;

use crate::recording::Line;
use crate::redact::HIDDEN;
use crate::text::beginning;

/// The bytes shown of a message.
const MAX_SHOWN: usize = 2048;

/// Where a replay differs from the recording. Displays as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The line of the recorded message; `None` for a message that is not recorded.
    pub line: Option<Line>,
    /// The recorded message, as JSON; a long one is cut.
    pub expected: Option<String>,
    /// The message that arrived instead, as JSON, or how the link ended; `None` if nothing arrived.
    pub got: Option<String>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = &self.line {
            write!(f, "{line}: ")?;
        }
        match (&self.expected, &self.got) {
            (Some(expected), Some(got)) => write!(f, "expected {expected}, got {got}"),
            (Some(expected), None) => write!(f, "expected {expected}, which did not arrive"),
            (None, got) => write!(f, "the recording does not have {}", got.as_deref().unwrap_or("this")),
        }
    }
}

/// A message as JSON.
pub(super) fn shown(message: &Message) -> String {
    let json = message.encode().map(|json| String::from_utf8_lossy(&json).into_owned());
    let mut json = json.unwrap_or_else(|error| error.to_string());
    if json.len() > MAX_SHOWN {
        json.truncate(beginning(&json, MAX_SHOWN).len());
        json.push('…');
    }
    json
}

/// Whether two messages of the same kind have the same content. Their ids are not compared, nor are the extensions of a
/// handshake, and the trace and the time limit of a call. If `has_secrets`, a recorded `"…"` may stand for any value.
pub(super) fn is_same(recorded: &Message, got: &Message, has_secrets: bool) -> bool {
    let is_same = |recorded: &Payload, got: &Payload| is_same_payload(recorded, got, has_secrets);
    let caller = |message: &Message| {
        let info = message.request_info.as_ref()?;
        Some((info.from.clone(), info.path.clone()))
    };
    let errors = match (&recorded.error, &got.error) {
        (Some(recorded), Some(got)) => is_same(recorded, got),
        (recorded, got) => recorded.is_none() && got.is_none(),
    };
    errors
        && recorded.name == got.name
        && recorded.key == got.key
        && recorded.error_kind == got.error_kind
        && caller(recorded) == caller(got)
        && is_same(&payload(recorded), &payload(got))
}

/// The payload, or what its absence means.
fn payload(message: &Message) -> Payload {
    message.payload.clone().unwrap_or_else(|| match message.action {
        Action::Request => Payload::no_args(),
        _ => Payload::null(),
    })
}

pub(super) fn is_same_payload(recorded: &Payload, got: &Payload, has_secrets: bool) -> bool {
    let (Ok(recorded), Ok(got)) = (recorded.to_json(), got.to_json()) else { return false };
    if recorded == got {
        return true;
    }
    match (serde_json::from_slice(&recorded), serde_json::from_slice(&got)) {
        (Ok(recorded), Ok(got)) => is_same_value(&recorded, &got, has_secrets),
        _ => false,
    }
}

fn is_same_value(recorded: &Value, got: &Value, has_secrets: bool) -> bool {
    match (recorded, got) {
        (Value::String(text), _) if has_secrets && text == HIDDEN => true,
        // Any notation of the same number.
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same_value(one, other, has_secrets))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(name, one)| other.get(name).is_some_and(|other| is_same_value(one, other, has_secrets)))
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(recorded: &str, got: &str) -> bool {
        let message = |json: &str| Message::decode_copied(json.as_bytes()).unwrap();
        is_same(&message(recorded), &message(got), true)
    }

    #[test]
    fn the_notation_and_the_ids_do_not_matter() {
        let recorded = r#"{"action":"response","id":1,"name":"p","key":"m","payload":{"a":1,"b":[2.0]}}"#;
        assert!(same(recorded, r#"{"action":"response","id":7,"name":"p","key":"m","payload":{"b":[2],"a":1.0}}"#));
        assert!(!same(recorded, r#"{"action":"response","id":1,"name":"p","key":"m","payload":{"a":1,"b":[3]}}"#));
        assert!(!same(recorded, r#"{"action":"response","id":1,"name":"p","key":"m","error":"no"}"#));
        let empty = r#"{"action":"response","id":1,"name":"p","key":"m"}"#;
        assert!(same(empty, r#"{"action":"response","id":1,"name":"p","key":"m","payload":null}"#));
    }

    #[test]
    fn a_hidden_value_may_be_any() {
        let recorded = r#"{"action":"emit","key":"m","payload":[{"password":"…","user":"ada"}]}"#;
        assert!(same(recorded, r#"{"action":"emit","key":"m","payload":[{"password":[1],"user":"ada"}]}"#));
        assert!(!same(recorded, r#"{"action":"emit","key":"m","payload":[{"password":[1],"user":"bob"}]}"#));
    }
}
