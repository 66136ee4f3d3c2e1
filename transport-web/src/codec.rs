//! Messages as JavaScript's objects.

use bytes::Bytes;
use connector_core::{DecodeError, LinkEnd, Message, PayloadError};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::{Error, JSON, Object, Reflect};

/// Sent when an end leaves on purpose, because `postMessage` itself has no close. Published peers ignore an object without
/// an action (docs/protocol.md, section 7.7).
const GOODBYE: &str = "{\"connector\":\"closed\",\"reason\":";

/// The message's JSON.
///
/// # Errors
/// The payload cannot be serialized, or the message is larger than `limit` bytes.
pub(crate) fn encode(message: &Message, limit: usize) -> Result<String, PayloadError> {
    let json = message.encode()?;
    if json.len() > limit {
        let setting = "LinkConfig::max_message at both ends";
        return Err(PayloadError::TooLarge { bytes: json.len(), limit, setting });
    }
    String::from_utf8(json).map_err(|error| PayloadError::NotSerializable(error.to_string()))
}

/// The object that a frame's text describes, to be posted.
pub(crate) fn object(json: &str) -> Result<JsValue, JsValue> {
    JSON::parse(json)
}

/// What was received.
pub(crate) enum Received {
    /// Perhaps a message, as JSON.
    Frame(Bytes),
    /// Nothing that can be a message.
    NoFrame(DecodeError),
    /// The last frame of the link.
    End(LinkEnd),
}

/// Reads a posted value.
pub(crate) fn received(data: &JsValue, limit: usize) -> Received {
    if !data.is_object() {
        return Received::NoFrame(DecodeError::WrongFrame("values that are not objects"));
    }
    // A BigInt, a cycle, or too deep.
    let text = match JSON::stringify(data) {
        Ok(text) if text.is_string() => text,
        Ok(_) => return Received::NoFrame(DecodeError::WrongFrame("objects without JSON")),
        Err(error) => return Received::NoFrame(unreadable(data, DecodeError::NotJson(error_text(&error)))),
    };
    if text.length() as usize > limit {
        return Received::End(LinkEnd::TooLarge { limit });
    }
    text_received(String::from(text), limit)
}

/// The error of an object that JSON cannot express, with what tells whose call it belongs to.
fn unreadable(data: &JsValue, why: DecodeError) -> DecodeError {
    let head = Object::new();
    for name in ["action", "id", "name", "key"] {
        let _ = Reflect::get(data, &name.into()).and_then(|value| Reflect::set(&head, &name.into(), &value));
    }
    match JSON::stringify(&head).map(|text| Message::decode(String::from(text).into())) {
        Ok(Ok(head)) => DecodeError::Partial { head: Box::new(head), why: Box::new(why) },
        _ => why,
    }
}

/// Reads a frame that arrived as text.
pub(crate) fn text_received(text: String, limit: usize) -> Received {
    if text.len() > limit.saturating_mul(3) {
        return Received::End(LinkEnd::TooLarge { limit });
    }
    match text.strip_prefix(GOODBYE).and_then(|reason| reason.strip_suffix('}')) {
        Some(reason) => {
            Received::End(LinkEnd::Closed { code: None, reason: serde_json::from_str(reason).unwrap_or_default() })
        }
        None => Received::Frame(text.into()),
    }
}

/// The last frame of a link that this end closes.
pub(crate) fn goodbye(reason: &str) -> String {
    format!("{GOODBYE}{}}}", serde_json::Value::from(reason))
}

/// The text of something that JavaScript threw.
pub(crate) fn error_text(error: &JsValue) -> String {
    match error.dyn_ref::<Error>() {
        Some(error) => String::from(error.to_string()),
        None => format!("{error:?}"),
    }
}
