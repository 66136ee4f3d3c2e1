//! The one message that crosses every transport, and its JSON.

use bytes::Bytes;
use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use smol_str::SmolStr;

use super::id::{Id, Odd, integer, shown};
use super::{DecodeError, Payload, PayloadError};
use crate::wire::json::{self, Reader};

/// A name on the wire: of a plugin, a method or an event. Up to 23 bytes are held in place, a longer one is shared by
/// its clones.
pub type Name = SmolStr;

/// What a message asks for (docs/protocol.md, section 2.2).
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

    fn read(text: &str) -> Option<Action> {
        Some(match text {
            "request" | "call" => Action::Request,
            "response" => Action::Response,
            "on" | "listen" => Action::On,
            "once" => Action::Once,
            "off" => Action::Off,
            "emit" => Action::Emit,
            "notification" => Action::Notification,
            "cancel" => Action::Cancel,
            _ => return None,
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
    /// Reads what of it is what it should be. `odd_path` gets a path that names no service a plugin could have.
    fn read<'a>(json: &mut Reader<'a>, odd_path: &mut Option<&'a str>) -> Result<Option<RequestInfo>, DecodeError> {
        *odd_path = None;
        if !json.at_object() {
            return json.skip().map(|()| None);
        }
        let (mut from, mut path, mut is_from_native) = (Name::default(), None, None);
        json.object(|member, json| {
            match member {
                "from" => from = json.string(|text| Name::from(text))?.unwrap_or_else(half_a_name),
                "path" => {
                    (path, *odd_path) = match json.string(|text| Name::from(text))? {
                        Ok(path) => (Some(path), None),
                        Err(raw) => odd_path_of(raw),
                    }
                }
                "isFromNative" => is_from_native = serde_json::from_str(json.raw()?).ok(),
                _ => json.skip()?,
            }
            Ok(())
        })?;
        Ok(Some(RequestInfo { from, path, is_from_native }))
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

/// A name that is no string of Unicode as it is shown: its text, escapes and all, so that it equals no other; what is no
/// string is nobody's name.
#[cold]
fn half_a_name(raw: &str) -> Name {
    raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).map(Name::from).unwrap_or_default()
}

/// The path, if the services it names can be; else its text. The published plugin takes what is false for no path, and
/// does not look at a path's first part.
#[cold]
fn odd_path_of(raw: &str) -> (Option<Name>, Option<&str>) {
    let services = raw.split_once('.').map_or("", |(_, services)| services.strip_suffix('"').unwrap_or(services));
    match () {
        () if is_false_in_javascript(raw) => (None, None),
        () if raw.starts_with('"') && serde_json::from_str::<String>(&format!("\"{services}\"")).is_ok() => {
            (Some(half_a_name(raw)), None)
        }
        () => (None, Some(raw)),
    }
}

/// What two native ends agree on beyond the published wire, announced in their handshakes
/// (docs/protocol.md, section 6.1); a published peer ignores the field and announces nothing.
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
    pub id: Option<Id>,
    /// To the engine: the plugin addressed, maybe a path `cmd.git`. To a plugin: its own name, or an event's emitter.
    /// Absent too where the other end has sent what is no string of Unicode: see [`Id`].
    pub name: Option<Name>,
    /// The method's or event's name; absent as [`name`](Message::name) is.
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
    /// An odd member costs the message nothing: an id may be any JSON, a name that is no string of Unicode is absent but
    /// for its echo ([`Id`]), what of `requestInfo`, `extensions` and `errorKind` means nothing to us is left out, and of
    /// two members of one name the later is taken, as in JavaScript.
    ///
    /// # Errors
    /// The frame is not JSON, or JSON that is no message: the frame is to be dropped, the link lives on.
    /// [`DecodeError::Partial`] if somebody may wait for it.
    pub fn decode(frame: Bytes) -> Result<Message, DecodeError> {
        if frame.len() <= SHORT {
            return Message::decode_copied(&frame);
        }
        let frame = ByteString::try_from(frame.clone()).map_err(|_| not_utf8(&frame))?;
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
        let frame = std::str::from_utf8(frame).map_err(|_| not_utf8(frame))?;
        Message::read(frame, |text| Payload::from_valid_json(text))
    }

    /// `payload` makes one of part of the frame.
    fn read(frame: &str, payload: impl Fn(&str) -> Payload) -> Result<Message, DecodeError> {
        // The action: absent, unknown, known.
        let (mut action, mut message, mut odd) = (None, Message::new(Action::Request), Odd::default());
        let mut json = Reader::new(frame);
        let read = json.object(|member, json| {
            match member {
                "action" => action = Some(json.string(Action::read)?.unwrap_or_default()),
                "id" => read_id(json, &mut message.id, &mut odd.id)?,
                "name" => read_name(json, &mut message.name, &mut odd.name)?,
                "key" => read_name(json, &mut message.key, &mut odd.key)?,
                // `null` is a payload; only a missing member is none.
                "payload" => message.payload = Some(payload(json.raw()?)),
                "requestInfo" => message.request_info = RequestInfo::read(json, &mut odd.path)?.map(Box::new),
                "error" => {
                    message.error = Some(json.raw()?)
                        .filter(|text| !is_false_in_javascript(text))
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
        if !odd.is_empty() {
            message.id = Some(Id::of_odd(message.id, odd));
        }
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
            match id.parts() {
                Ok(number) => field(out, "id", number)?,
                Err(odd) => echo(out, odd),
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

/// What the other end has sent goes back as it came.
#[cold]
fn echo(out: &mut Vec<u8>, odd: &Odd<Box<str>>) {
    for (name, json) in [("id", &odd.id), ("name", &odd.name), ("key", &odd.key)] {
        if let Some(json) = json {
            out.extend_from_slice(format!(",\"{name}\":{json}").as_bytes());
        }
    }
}

/// An integer as an id, any other value as its text.
fn read_id<'a>(json: &mut Reader<'a>, id: &mut Option<Id>, odd: &mut Option<&'a str>) -> Result<(), DecodeError> {
    *odd = None;
    if let Some(number) = json.integer() {
        *id = Some(number.into());
        return Ok(());
    }
    let text = json.raw()?;
    *id = integer(text).map(Id::from);
    *odd = id.is_none().then_some(text);
    Ok(())
}

/// A string of Unicode as a name, any other value as its text.
fn read_name<'a>(json: &mut Reader<'a>, name: &mut Option<Name>, odd: &mut Option<&'a str>) -> Result<(), DecodeError> {
    (*name, *odd) = match json.string(|text| Name::from(text))? {
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

/// `why`, with what can still be read of the frame if somebody may wait for it: there is an action and an id.
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
        // Whatever is asked for, it will not be done.
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
        true => format!("\"{}\"", shown(json)),
        false => shown(json).into_owned(),
    }
}

/// The published ends ask `error ? reject : resolve`.
pub(crate) fn is_false_in_javascript(json: &str) -> bool {
    match json.as_bytes() {
        [b'-' | b'0'..=b'9', ..] => json.parse() == Ok(0.0_f64),
        _ => matches!(json, "null" | "false" | "\"\""),
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

impl Extensions {
    /// A peer that means something else by the field has announced nothing to us.
    fn read(json: &str) -> Extensions {
        let names: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
        let has = |wanted: &str| names.iter().any(|name| shown(name.get()) == wanted && name.get().starts_with('"'));
        Extensions { cancel_by_id: has(CANCEL_BY_ID), error_kind: has(ERROR_KIND) }
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
        for text in ["5", "[]", "{}", r#"{"action":5}"#, r#"{"action":"jump"}"#, r#"{"action":"on","action":5}"#] {
            assert!(matches!(why(text), DecodeError::NotAMessage(_)), "{text}");
        }
        assert!(why(r#"{"action":"jump"}"#).to_string().contains(r#"unknown action "jump""#));
    }

    #[test]
    fn what_can_be_read_of_it_comes_with_the_reason_where_somebody_may_wait() {
        for (text, head) in [
            (r#"{"action":"jump","id":7,"key":5}"#, r#"{"action":"request","id":7,"key":5}"#),
            (r#"{"action":"response","payload":NaN,"id":7}"#, r#"{"action":"response","id":7}"#),
            (r#"{"action":"call","name":"\ud83d","id":7,"#, r#"{"action":"request","id":7,"name":"\ud83d"}"#),
        ] {
            let DecodeError::Partial { head: read, why } = decode(text).unwrap_err() else { panic!("{text}") };
            assert_eq!(read.encode().unwrap(), head.as_bytes());
            assert!(!matches!(*why, DecodeError::Partial { .. }));
        }
        for nobodys in [r#"{"action":"emit","id":7,"payload":NaN}"#, r#"{"action":"response","payload":NaN}"#] {
            assert!(matches!(decode(nobodys).unwrap_err(), DecodeError::NotJson(_)), "{nobodys}");
        }
    }

    #[test]
    fn a_message_is_no_larger_than_two_lines_of_a_cache() {
        assert_eq!((size_of::<Message>(), size_of::<Option<Id>>()), (128, 16));
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
            message.id = id.map(Id::from);
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
