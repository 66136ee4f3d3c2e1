//! The one message that crosses every transport, and its JSON.

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::error::{DecodeError, PayloadError};
use crate::json::{self, Reader};
use crate::payload::Payload;

/// A name on the wire: of a plugin, a method or an event. Up to 23 bytes are held in place, a longer one is shared by
/// its clones.
pub type Name = SmolStr;

/// What a message asks for (protocol.md, section 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// A call. Also read as `call`.
    Request,
    /// The answer to a call.
    Response,
    /// Subscribe to an event. Also read as `listen`.
    On,
    /// Subscribe to an event's next occurrence.
    Once,
    /// Unsubscribe.
    Off,
    /// An event: what a plugin writes.
    Emit,
    /// An event: what an engine writes. Either side reads both.
    Notification,
    /// End calls: by name and method, or by id between native ends.
    Cancel,
}

impl Action {
    /// The name written on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Action::Request => "request",
            Action::Response => "response",
            Action::On => "on",
            Action::Once => "once",
            Action::Off => "off",
            Action::Emit => "emit",
            Action::Notification => "notification",
            Action::Cancel => "cancel",
        }
    }

    fn read(text: &str) -> Result<Action, DecodeError> {
        Ok(match text {
            "request" | "call" => Action::Request,
            "response" => Action::Response,
            "on" | "listen" => Action::On,
            "once" => Action::Once,
            "off" => Action::Off,
            "emit" => Action::Emit,
            "notification" => Action::Notification,
            "cancel" => Action::Cancel,
            _ => return Err(DecodeError::NotAMessage(format!("unknown action \"{text}\""))),
        })
    }
}

/// Who calls, by which path. Stamped by the engine, never believed from a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// The plugin that calls.
    pub from: Name,
    /// The path called: the plugin's name, then the services', for example `remixd.cmd.git`.
    pub path: Option<Name>,
    /// Whether the caller is native to the engine; deprecated in the published packages, passed on when present.
    pub is_from_native: Option<bool>,
}

impl RequestInfo {
    fn read(json: &mut Reader<'_>) -> Result<RequestInfo, DecodeError> {
        let (mut from, mut path, mut is_from_native) = (None, None, None);
        json.object(|member, json| {
            match member {
                "from" => from = Some(json.string()?.into()),
                "path" => path = json.unless_null(Reader::string)?.map(Name::from),
                "isFromNative" => is_from_native = json.value()?,
                _ => json.skip()?,
            }
            Ok(())
        })?;
        let from = from.ok_or_else(|| DecodeError::NotAMessage("requestInfo has no `from`".to_owned()))?;
        Ok(RequestInfo { from, path, is_from_native })
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b",\"requestInfo\":{\"from\":");
        json::write_str(out, &self.from);
        if let Some(path) = &self.path {
            out.extend_from_slice(b",\"path\":");
            json::write_str(out, path);
        }
        match self.is_from_native {
            Some(true) => out.extend_from_slice(b",\"isFromNative\":true"),
            Some(false) => out.extend_from_slice(b",\"isFromNative\":false"),
            None => {}
        }
        out.push(b'}');
    }
}

/// What two native ends agree on beyond the published wire, announced in their handshakes
/// (protocol.md, "Cancel"); a published peer ignores the field and announces nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `cancel` with an `id` ends that one call, in both directions.
    pub cancel_by_id: bool,
    /// A failed response names the kind of its error in `errorKind`.
    pub error_kind: bool,
}

impl Extensions {
    /// All that this version knows.
    pub const NATIVE: Extensions = Extensions { cancel_by_id: true, error_kind: true };
}

/// How a call failed, as native engines tell it beside the error's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ErrorKind {
    /// The plugin's own error.
    Plugin,
    /// The plugin cannot take the arguments.
    BadArguments,
    /// Not let through.
    Refused,
    /// Took too long.
    TimedOut,
    /// Cancelled.
    Cancelled,
    /// A link ended.
    LinkLost,
}

/// One message between an engine and a plugin.
///
/// Absent fields are absent on the wire, as JavaScript drops `undefined`. What few messages have is boxed, since each is
/// moved from hand to hand.
#[derive(Debug, Clone)]
pub struct Message {
    /// What it asks for.
    pub action: Action,
    /// Pairs a request with its response; each side numbers its own.
    pub id: Option<i64>,
    /// To the engine: the plugin addressed, maybe a path `cmd.git`. To a plugin: its own name, or an event's emitter.
    pub name: Option<Name>,
    /// The method's or event's name.
    pub key: Option<Name>,
    /// Arguments (an array) of a request or event, or a response's result (any value).
    pub payload: Option<Payload>,
    /// Engine to plugin: who calls.
    pub request_info: Option<Box<RequestInfo>>,
    /// A failed response's error: a string or any value. What JavaScript takes for false is no error.
    pub error: Option<Box<Payload>>,
    /// Of a failed response between native ends.
    pub error_kind: Option<ErrorKind>,
    /// Of a handshake between native ends.
    pub extensions: Option<Extensions>,
}

/// A payload of so many bytes is copied out of its frame.
const SHORT: usize = 16 * 1024;

impl Message {
    /// A message with nothing but its action.
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

    /// Reads one frame of JSON. A long payload stays a slice of it; a short one is copied, since a frame may be a slice
    /// in turn, of a large buffer that would be kept with it.
    ///
    /// # Errors
    /// The frame is not JSON, or JSON that is no message: the frame is to be dropped, the link lives on.
    pub fn decode(frame: Bytes) -> Result<Message, DecodeError> {
        let frame = ByteString::try_from(frame).map_err(|_| DecodeError::not_utf8())?;
        Message::read(&frame, |text| match text.len() {
            ..=SHORT => Payload::from_valid_json(text),
            _ => Payload::from_part(frame.slice_ref(text)),
        })
    }

    /// As [`decode`](Message::decode), of a frame in somebody's buffer: the payload is copied.
    ///
    /// # Errors
    /// As [`decode`](Message::decode).
    pub fn decode_copied(frame: &[u8]) -> Result<Message, DecodeError> {
        let frame = std::str::from_utf8(frame).map_err(|_| DecodeError::not_utf8())?;
        Message::read(frame, |text| Payload::from_valid_json(text))
    }

    /// `payload` makes one of part of the frame.
    fn read(frame: &str, payload: impl Fn(&str) -> Payload) -> Result<Message, DecodeError> {
        let (mut action, mut message) = (None, Message::new(Action::Request));
        let mut json = Reader::new(frame);
        json.object(|member, json| {
            match member {
                "action" => action = Some(Action::read(&json.string()?)?),
                "id" => message.id = json.value()?,
                "name" => message.name = json.unless_null(Reader::string)?.map(Name::from),
                "key" => message.key = json.unless_null(Reader::string)?.map(Name::from),
                // `null` is a payload; only a missing member is none.
                "payload" => message.payload = Some(payload(json.raw()?)),
                "requestInfo" => message.request_info = json.unless_null(RequestInfo::read)?.map(Box::new),
                "error" => {
                    message.error = Some(json.raw()?)
                        .filter(|text| !is_false_in_javascript(text))
                        .map(|text| Box::new(payload(text)))
                }
                "errorKind" => message.error_kind = json.value::<Lenient>()?.known(),
                "extensions" => message.extensions = json.value()?,
                _ => json.skip()?,
            }
            Ok(())
        })?;
        json.end()?;
        message.action = action.ok_or_else(|| DecodeError::NotAMessage("it has no `action`".to_owned()))?;
        Ok(message)
    }

    /// Writes the message as JSON into `out`, after what is already there.
    ///
    /// # Errors
    /// The payload holds a value that cannot be serialized; `out` is left as it was.
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
            field(out, "id", id)?;
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

/// The published ends ask `error ? reject : resolve`.
pub(crate) fn is_false_in_javascript(error: &str) -> bool {
    matches!(error, "null" | "false" | "\"\"" | "0" | "-0" | "0.0" | "-0.0")
}

/// A kind of a later version is as good as none.
#[derive(Deserialize)]
#[serde(untagged)]
enum Lenient {
    Known(ErrorKind),
    Other(serde::de::IgnoredAny),
}

impl Lenient {
    fn known(self) -> Option<ErrorKind> {
        match self {
            Lenient::Known(kind) => Some(kind),
            Lenient::Other(_) => None,
        }
    }
}

const CANCEL_BY_ID: &str = "cancelById";
const ERROR_KIND: &str = "errorKind";

/// A list of names; unknown ones are a later version's.
impl Serialize for Extensions {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = [(self.cancel_by_id, CANCEL_BY_ID), (self.error_kind, ERROR_KIND)];
        serializer.collect_seq(known.iter().filter(|(on, _)| *on).map(|(_, name)| name))
    }
}

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Extensions, D::Error> {
        // A peer that means something else by this field has announced nothing to us.
        let names = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::Array(names) => names,
            _ => vec![],
        };
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        Ok(Extensions { cancel_by_id: has(CANCEL_BY_ID), error_kind: has(ERROR_KIND) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(text: &str) -> Result<Message, DecodeError> {
        Message::decode(Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn old_names_are_read_and_new_ones_written() {
        for (read, written) in
            [("call", "request"), ("listen", "on"), ("emit", "emit"), ("notification", "notification")]
        {
            let message = decode(&format!(r#"{{"action":"{read}"}}"#)).unwrap();
            assert_eq!(message.encode().unwrap(), format!(r#"{{"action":"{written}"}}"#).as_bytes());
        }
    }

    #[test]
    fn what_is_no_message_says_why() {
        let why = |text: &str| decode(text).unwrap_err();
        assert!(matches!(why("hello"), DecodeError::NotJson(_)));
        assert!(matches!(why(r#"{"action":"request""#), DecodeError::NotJson(_)));
        for text in ["5", "[]", "{}", r#"{"action":5}"#, r#"{"action":"jump"}"#, r#"{"action":"on","id":"x"}"#] {
            assert!(matches!(why(text), DecodeError::NotAMessage(_)), "{text}");
        }
        assert!(why(r#"{"action":"jump"}"#).to_string().contains(r#"unknown action "jump""#));
    }

    #[test]
    fn a_long_payload_is_a_slice_of_the_frame_and_a_short_one_does_not_keep_it() {
        for (length, shared) in [(10, false), (SHORT, false), (SHORT + 1, true)] {
            let json = format!(r#"["{}\ud800"]"#, "x".repeat(length - 10));
            let frame = Bytes::from(format!(r#"{{"action":"request","payload":{json}  }}"#));
            let read = Message::decode(frame.clone()).unwrap().payload.unwrap().to_json().unwrap();
            assert_eq!(read, json);
            assert_eq!(frame.as_ptr_range().contains(&read.as_ptr()), shared, "{length}");
        }
    }

    #[test]
    fn null_is_a_payload_and_false_is_no_error() {
        assert!(decode(r#"{"action":"response","payload":null}"#).unwrap().payload.is_some());
        for no_error in ["null", "false", "0", r#""""#] {
            assert!(decode(&format!(r#"{{"action":"response","error":{no_error}}}"#)).unwrap().error.is_none());
        }
        assert!(decode(r#"{"action":"response","error":{}}"#).unwrap().error.is_some());
    }

    #[test]
    fn extensions_of_others_are_ignored() {
        let read = |text: &str| decode(&format!(r#"{{"action":"request","extensions":{text}}}"#)).unwrap().extensions;
        assert_eq!(read(r#"["cancelById","warp"]"#), Some(Extensions { cancel_by_id: true, error_kind: false }));
        assert_eq!(read(r#""yes""#), Some(Extensions::default()));
        let later = decode(r#"{"action":"response","errorKind":"exploded"}"#).unwrap();
        assert_eq!(later.error_kind, None);
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn messages_survive_the_wire(
            action in prop::sample::select(vec![
                Action::Request, Action::Response, Action::On, Action::Once, Action::Off, Action::Emit,
                Action::Notification, Action::Cancel,
            ]),
            id in any::<Option<i64>>(), name in ".*", key in prop::option::of(".*"),
            payload in prop::option::of(json()), from in ".*", path in prop::option::of(".*"),
        ) {
            let mut message = Message::new(action);
            message.id = id;
            message.name = Some(name.into());
            message.key = key.map(Name::from);
            message.payload = payload.clone().map(Payload::new);
            let path = path.map(Name::from);
            message.request_info = Some(Box::new(RequestInfo { from: from.into(), path, is_from_native: None }));
            let back = Message::decode(message.encode().unwrap().into()).unwrap();
            prop_assert_eq!(back.action, message.action);
            prop_assert_eq!(back.id, message.id);
            prop_assert_eq!(&back.name, &message.name);
            prop_assert_eq!(&back.key, &message.key);
            prop_assert_eq!(&back.request_info, &message.request_info);
            prop_assert_eq!(back.payload.map(|p| p.read::<serde_json::Value>().unwrap()), payload);
        }

        #[test]
        fn no_frame_can_cause_a_panic(frame in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Message::decode(frame.into());
        }
    }
}
