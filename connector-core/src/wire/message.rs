//! The message that crosses every transport. `message_json.rs` reads and writes it.

use bytes::Bytes;
use bytestring::ByteString;
use smol_str::SmolStr;

use super::message_json::not_utf8;
use super::{Action, DecodeError, ErrorKind, Extensions, Id, Inherited, Payload, PayloadError, RequestInfo};

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
    /// Only in requests between native peers: the trace, the time limit and the chain of the call.
    pub inherited: Option<Box<Inherited>>,
    /// The error of a failed response: a string or any other value. A falsy value in the JavaScript sense is not an
    /// error.
    pub error: Option<Box<Payload>>,
    /// Only in failed responses between native peers.
    pub error_kind: Option<ErrorKind>,
    /// Only in handshakes between native peers.
    pub extensions: Option<Extensions>,
    /// Only in handshakes between native peers: the plugin is stopping, so that the engine sends it no more requests.
    pub draining: bool,
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
            inherited: None,
            error: None,
            error_kind: None,
            extensions: None,
            draining: false,
        }
    }

    /// The number of bytes that its payload and its error hold: the length of a JSON text, which is estimated for a value
    /// that is not serialized. If it `waits` behind others, such a value is visited once; otherwise it counts 0 until it has
    /// been. For a transport that moves messages without serializing them.
    pub fn held_bytes(&self, waits: bool) -> usize {
        let payloads = [self.payload.as_ref(), self.error.as_deref()];
        payloads.into_iter().flatten().map(|payload| payload.held_bytes(waits)).fold(0, usize::saturating_add)
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
}

#[cfg(test)]
mod tests;
