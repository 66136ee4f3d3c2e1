//! Compares messages with recorded ones, and describes the differences.

use std::fmt;

use connector_core::{Action, Message, Payload};
use serde_json::Value;

use crate::recording::Line;
use crate::redact::HIDDEN;
use crate::text::beginning;

/// The bytes shown of a message, or of its payload.
const MAX_SHOWN: usize = 2048;
/// The bytes shown of a call's arguments, to say which call differs.
const MAX_ARGS: usize = 256;

/// Where a replay differs from the recording. Displays as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Difference {
    /// The line of the recorded message; `None` for a message that is not recorded.
    pub line: Option<Line>,
    /// What differs: `shop.price("pear")` is the answer to this call, `call shop.price` a call, and `event shop.sold` an event.
    pub about: String,
    /// What is recorded: a result, `error` and an error, or the arguments of a call or an event, as JSON. The whole message if
    /// something else differs. A long one is cut. `None` for a message that is not recorded.
    pub expected: Option<String>,
    /// What arrived instead, in the same form, or how the link ended; `None` if nothing arrived.
    pub got: Option<String>,
}

impl Difference {
    /// A recorded message, and the one that arrived in its place. `request` is the one that a response answers.
    pub(super) fn new(line: Line, recorded: &Message, request: Option<&Message>, got: Option<&Message>) -> Difference {
        let contents = (content(recorded), got.map(content));
        let (expected, got) = match contents {
            (expected, Some(same)) if same == expected => (shown(recorded), got.map(shown)),
            contents => contents,
        };
        Difference { line: Some(line), about: about(recorded, request), expected: Some(expected), got }
    }

    /// A message that the recording does not have.
    pub(super) fn not_recorded(message: &Message) -> Difference {
        Difference { line: None, about: about(message, None), expected: None, got: Some(content(message)) }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.about)?;
        match (&self.expected, &self.got) {
            (Some(expected), Some(got)) => write!(f, "expected {expected}, got {got}")?,
            (Some(expected), None) => write!(f, "expected {expected}, which did not arrive")?,
            (None, got) => write!(f, "{} is not recorded", got.as_deref().unwrap_or("this"))?,
        }
        match &self.line {
            Some(line) => write!(f, " ({line})"),
            None => Ok(()),
        }
    }
}

/// A message as JSON.
pub(super) fn shown(message: &Message) -> String {
    let json = message.encode().map(|json| String::from_utf8_lossy(&json).into_owned());
    cut(json.unwrap_or_else(|error| error.to_string()), MAX_SHOWN)
}

/// Its payload or its error, as JSON.
fn content(message: &Message) -> String {
    let text = match &message.error {
        Some(error) => format!("error {}", json(error)),
        None => json(&payload(message)),
    };
    cut(text, MAX_SHOWN)
}

fn json(payload: &Payload) -> String {
    payload.to_json().map_or_else(|error| error.to_string(), |json| String::from_utf8_lossy(&json).into_owned())
}

/// What a message is about. `request` is the one that a response answers.
fn about(message: &Message, request: Option<&Message>) -> String {
    let names = [&message.name, &message.key].into_iter().flatten();
    let subject = names.map(ToString::to_string).collect::<Vec<_>>().join(".");
    match message.action {
        Action::Request => format!("call {subject}"),
        Action::Response => match request.map(|request| json(&payload(request))) {
            Some(args) => {
                let args = args.strip_prefix('[').and_then(|args| args.strip_suffix(']')).unwrap_or(&args).to_owned();
                format!("{subject}({})", cut(args, MAX_ARGS))
            }
            None => format!("response {subject}"),
        },
        Action::Emit | Action::Notification => format!("event {subject}"),
        other => format!("{} {subject}", other.as_str()),
    }
}

fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        text.truncate(beginning(&text, max).len());
        text.push('…');
    }
    text
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
