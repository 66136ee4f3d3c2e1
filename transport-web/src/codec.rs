//! Messages as JavaScript's objects.

use bytes::Bytes;
use connector_core::{DecodeError, LinkEnd, Message, PayloadError};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::{Error, JSON, Object, Reflect};

/// Sent when an end leaves on purpose, because `postMessage` itself has no close. Published peers ignore an object without
/// an action (docs/protocol.md, section 7.7).
const GOODBYE: &str = "{\"connector\":\"closed\",\"reason\":";

/// An error without a text in a message, as the core writes it.
const EMPTY_ERROR: &str = "\"error\":{}";

/// A message to be sent.
pub(crate) struct Frame {
    json: String,
    has_error: bool,
}

impl Frame {
    /// # Errors
    /// The payload cannot be serialized, or the message is larger than `limit` bytes.
    pub(crate) fn of(message: &Message, limit: usize) -> Result<Frame, PayloadError> {
        let json = encode(message, limit)?;
        Ok(Frame { json, has_error: message.error.is_some() })
    }

    /// The last frame of a link that this end closes.
    pub(crate) fn goodbye(reason: &str) -> Frame {
        Frame { json: format!("{GOODBYE}{}}}", serde_json::Value::from(reason)), has_error: false }
    }

    pub(crate) fn json(&self) -> &str {
        &self.json
    }

    /// The object to be posted.
    pub(crate) fn object(&self) -> Result<JsValue, JsValue> {
        let object = JSON::parse(&self.json)?;
        // The published peers post an `Error` without a text as it is. Its JSON is `{}`.
        if self.has_error && self.json.contains(EMPTY_ERROR) {
            let error = Reflect::get(&object, &"error".into())?;
            if error.dyn_ref::<Object>().is_some_and(|error| Object::keys(error).length() == 0) {
                Reflect::set(&object, &"error".into(), &Error::new(""))?;
            }
        }
        Ok(object)
    }
}

fn encode(message: &Message, limit: usize) -> Result<String, PayloadError> {
    let json = message.encode()?;
    if json.len() > limit {
        let setting = "LinkConfig::max_message at both ends";
        return Err(PayloadError::TooLarge { bytes: json.len(), limit, setting });
    }
    String::from_utf8(json).map_err(|error| PayloadError::NotSerializable(error.to_string()))
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
// PERF: docs/performance.md, "In a browser": JSON text instead of walking the object.
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
    let text = String::from(text);
    text_received(if text.contains(EMPTY_ERROR) { with_error_text(data).unwrap_or(text) } else { text }, limit)
}

/// The JSON of a message whose `error` is an `Error`, with the error's message. The JSON of an `Error` is `{}`.
fn with_error_text(data: &JsValue) -> Option<String> {
    let key = JsValue::from("error");
    let error = Reflect::get(data, &key).ok()?.dyn_into::<Error>().ok()?;
    let message = Object::assign(&Object::new(), data.unchecked_ref());
    let fields = Object::new();
    Reflect::set(&fields, &"message".into(), &error.message()).ok()?;
    Reflect::set(&message, &key, &fields).ok()?;
    JSON::stringify(&message).ok().map(String::from)
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

/// The text of something that JavaScript threw.
pub(crate) fn error_text(error: &JsValue) -> String {
    match error.dyn_ref::<Error>() {
        Some(error) => String::from(error.to_string()),
        None => format!("{error:?}"),
    }
}
