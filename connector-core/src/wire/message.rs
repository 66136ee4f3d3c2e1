//! The message that crosses every transport, and its JSON encoding.

use bytes::Bytes;
use bytestring::ByteString;
use serde::Serialize;
use smol_str::SmolStr;

use super::id::{Id, RawMembers, display_json, integer};
use super::json::{self, Reader};
use super::{Action, DecodeError, ErrorKind, Extensions, Payload, PayloadError, RequestInfo, is_falsy_in_javascript};

// PERF: docs/performance.md, "names as slices of their frame": inline, worker pipelined 0.15 → 0.24 of the floor.
/// The name of a plugin, a method or an event. Up to 23 bytes are stored inline; a longer name is shared by its clones.
pub type Name = SmolStr;

/// One message between an engine and a plugin.
///
/// Absent fields are omitted on the wire, as JavaScript omits `undefined`. Rare fields are boxed because messages are
/// moved often.
///
/// ```
/// use connector_core::{Action, Message, Payload};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let message = Message { key: Some("saved".into()), payload: Some(Payload::new(("a.txt",))), ..Message::new(Action::Emit) };
/// assert_eq!(message.encode()?, br#"{"action":"emit","key":"saved","payload":["a.txt"]}"#);
/// # Ok(()) }
/// ```
// PERF: docs/performance.md, "messages of 240 bytes moved nine times": memmove 24 % → 4 % of the engine's process.
#[derive(Debug, Clone)]
pub struct Message {
    /// The kind of message.
    pub action: Action,
    /// Pairs a request with its response. Each side assigns its own ids.
    pub id: Option<Id>,
    /// To the engine: the plugin addressed, or a path such as `cmd.git`. To a plugin: its own name, or the emitter of
    /// an event. Also absent if the peer has sent something other than a Unicode string: see [`Id`].
    pub name: Option<Name>,
    /// The name of the method or event. May be absent for the same reason as [`name`](Message::name).
    pub key: Option<Name>,
    /// The arguments (an array) of a request or event, or the result (any value) of a response.
    pub payload: Option<Payload>,
    /// Engine to plugin: the caller.
    pub request_info: Option<Box<RequestInfo>>,
    /// The error of a failed response: a string or any other value. A falsy value in the JavaScript sense is not an
    /// error.
    pub error: Option<Box<Payload>>,
    /// Only in failed responses between native peers.
    pub error_kind: Option<ErrorKind>,
    /// Only in handshakes between native peers.
    pub extensions: Option<Extensions>,
}

/// Payloads up to this size are copied out of their frame.
const SHORT: usize = 16 * 1024;

impl Message {
    /// A message with only an action.
    pub fn new(action: Action) -> Message {
        Message {
            action,
            id: None,
            name: None,
            key: None,
            payload: None,
            request_info: None,
            error: None,
            error_kind: None,
            extensions: None,
        }
    }

    /// The number of bytes that a response echoes of its request.
    pub(crate) fn echoed_bytes(&self) -> usize {
        let length = |name: &Option<Name>| name.as_ref().map_or(0, |name| name.len());
        length(&self.name) + length(&self.key) + self.id.as_ref().map_or(0, Id::weight)
    }

    /// Decodes one JSON frame. A long payload that is most of the frame stays a slice of it. Any other is copied, because
    /// the frame, which may itself be a slice of a large buffer, would be kept alive.
    ///
    /// Decoding is lenient about members with unexpected types. An id may be any JSON value, and a name that is not a
    /// Unicode string is absent but can be echoed ([`Id`]). Unusable parts of `requestInfo`, `extensions` and
    /// `errorKind` are ignored. Of duplicate members the last one counts, as in JavaScript.
    ///
    /// # Errors
    /// The frame is not JSON, or not a message. Drop the frame; the link remains usable. Returns
    /// [`DecodeError::Partial`] if a peer or a caller may be waiting for the message.
    pub fn decode(frame: Bytes) -> Result<Message, DecodeError> {
        if frame.len() <= SHORT {
            return Message::decode_copied(&frame);
        }
        let frame = ByteString::try_from(frame.clone()).map_err(|_| not_utf8(&frame))?;
        // A part of a frame keeps all of it alive, which the part's size does not show.
        let copied = SHORT.max(frame.len() / 2);
        Message::read(&frame, |text| match text.len() > copied {
            true => Payload::from_part(frame.slice_ref(text)),
            false => Payload::from_valid_json(text),
        })
    }

    /// Like [`decode`](Message::decode), for a borrowed frame: the payload is copied.
    ///
    /// # Errors
    /// As [`decode`](Message::decode).
    pub fn decode_copied(frame: &[u8]) -> Result<Message, DecodeError> {
        let frame = std::str::from_utf8(frame).map_err(|_| not_utf8(frame))?;
        Message::read(frame, |text| Payload::from_valid_json(text))
    }

    /// `payload` creates a payload from part of the frame.
    fn read(frame: &str, payload: impl Fn(&str) -> Payload) -> Result<Message, DecodeError> {
        // `action` is `None` if absent and `Some(None)` if unknown.
        let (mut action, mut message, mut raw) = (None, Message::new(Action::Request), RawMembers::default());
        let mut json = Reader::new(frame);
        let read = json.object(|member, json| {
            match member {
                "action" => action = Some(json.string(Action::read)?.unwrap_or_default()),
                "id" => read_id(json, &mut message.id, &mut raw.id)?,
                "name" => read_name(json, &mut message.name, &mut raw.name)?,
                "key" => read_name(json, &mut message.key, &mut raw.key)?,
                // `null` is a payload; only a missing member means no payload.
                "payload" => message.payload = Some(payload(json.raw()?)),
                "requestInfo" => message.request_info = RequestInfo::read(json, &mut raw.path)?.map(Box::new),
                "error" => {
                    message.error = Some(json.raw()?)
                        .filter(|text| !is_falsy_in_javascript(text))
                        .map(|text| Box::new(payload(text)))
                }
                "errorKind" => message.error_kind = serde_json::from_str(json.raw()?).ok(),
                "extensions" => message.extensions = Some(Extensions::read(json.raw()?)),
                _ => json.skip()?,
            }
            Ok(())
        });
        if let Err(why) = read.and_then(|()| json.end()) {
            return Err(no_message(frame, why));
        }
        let Some(Some(action)) = action else { return Err(no_action(frame)) };
        message.action = action;
        if !raw.is_empty() {
            message.id = Some(Id::with_raw_members(message.id, raw));
        }
        Ok(message)
    }

    /// Appends the message to `out` as JSON.
    ///
    /// # Errors
    /// The payload contains a value that cannot be serialized. `out` is left unchanged.
    pub fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), PayloadError> {
        let start = out.len();
        let done = self.write(out);
        if done.is_err() {
            out.truncate(start);
        }
        done
    }

    /// The message as JSON.
    ///
    /// # Errors
    /// As [`encode_into`](Message::encode_into).
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        let mut out = Vec::with_capacity(128 + self.payload.as_ref().map_or(0, Payload::weight));
        self.write(&mut out)?;
        Ok(out)
    }

    fn write(&self, out: &mut Vec<u8>) -> Result<(), PayloadError> {
        out.extend_from_slice(b"{\"action\":\"");
        out.extend_from_slice(self.action.as_str().as_bytes());
        out.push(b'"');
        if let Some(id) = &self.id {
            match id.parts() {
                Ok(number) => field(out, "id", number)?,
                Err(raw) => echo(out, raw),
            }
        }
        if let Some(name) = &self.name {
            field(out, "name", &**name)?;
        }
        if let Some(key) = &self.key {
            field(out, "key", &**key)?;
        }
        if let Some(payload) = &self.payload {
            out.extend_from_slice(b",\"payload\":");
            payload.write_json(out)?;
        }
        if let Some(info) = &self.request_info {
            info.write(out);
        }
        if let Some(error) = &self.error {
            out.extend_from_slice(b",\"error\":");
            error.write_json(out)?;
        }
        if let Some(kind) = &self.error_kind {
            field(out, "errorKind", kind)?;
        }
        if let Some(extensions) = &self.extensions {
            field(out, "extensions", extensions)?;
        }
        out.push(b'}');
        Ok(())
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &(impl Serialize + ?Sized)) -> Result<(), PayloadError> {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    json::write(out, value).map_err(PayloadError::not_serializable)
}

/// Echoes what the peer has sent, unchanged.
#[cold]
fn echo(out: &mut Vec<u8>, raw: &RawMembers<Box<str>>) {
    for (name, json) in [("id", &raw.id), ("name", &raw.name), ("key", &raw.key)] {
        if let Some(json) = json {
            out.extend_from_slice(format!(",\"{name}\":{json}").as_bytes());
        }
    }
}

/// An integer as an id, any other value as its text.
fn read_id<'a>(json: &mut Reader<'a>, id: &mut Option<Id>, raw: &mut Option<&'a str>) -> Result<(), DecodeError> {
    *raw = None;
    if let Some(number) = json.integer() {
        *id = Some(number.into());
        return Ok(());
    }
    let text = json.raw()?;
    *id = integer(text).map(Id::from);
    *raw = id.is_none().then_some(text);
    Ok(())
}

/// A Unicode string as a name, any other value as its text.
fn read_name<'a>(json: &mut Reader<'a>, name: &mut Option<Name>, raw: &mut Option<&'a str>) -> Result<(), DecodeError> {
    (*name, *raw) = match json.string(|text| Name::from(text))? {
        Ok(read) => (Some(read), None),
        Err(raw) => (None, Some(raw)),
    };
    Ok(())
}

#[cold]
fn not_utf8(frame: &[u8]) -> DecodeError {
    no_message(&String::from_utf8_lossy(frame), DecodeError::not_utf8())
}

#[cold]
fn no_action(frame: &str) -> DecodeError {
    no_message(frame, DecodeError::NotAMessage("it has no `action`".to_owned()))
}

/// Wraps `why` with the readable part of the frame if a response may be expected: it needs an action and an id.
#[cold]
fn no_message(frame: &str, why: DecodeError) -> DecodeError {
    let (mut action, mut head) = (None, String::new());
    json::members(frame, |name, value| match serde_json::from_str::<String>(name).as_deref() {
        Ok("action") => action = Some(value),
        Ok("id" | "name" | "key") => head.extend([",", name, ":", value]),
        _ => {}
    });
    let Some(action) = action else { return why };
    let (known, why) = match serde_json::from_str::<String>(action).ok().and_then(|text| Action::read(&text)) {
        Some(known) => (known, why),
        // An unknown action is reported to the sender like a failed request.
        None => (Action::Request, DecodeError::NotAMessage(format!("unknown action {}", quoted(action)))),
    };
    let head = Message::read(&format!("{{\"action\":\"{}\"{head}}}", known.as_str()), |_| Payload::null());
    match head {
        Ok(head)
            if matches!(known, Action::Request | Action::Response) && head.id.as_ref().is_some_and(Id::is_given) =>
        {
            DecodeError::Partial { head: Box::new(head), why: Box::new(why) }
        }
        _ => why,
    }
}

fn quoted(json: &str) -> String {
    match json.starts_with('"') {
        true => format!("\"{}\"", display_json(json)),
        false => display_json(json).into_owned(),
    }
}

#[cfg(test)]
mod tests;
