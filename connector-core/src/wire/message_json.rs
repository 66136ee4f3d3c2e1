//! A message as JSON: reads and writes every member of its envelope.

use serde::Serialize;

use super::echo::{RawMembers, echo, read_id, read_name};
use super::id::{Id, display_json};
use super::inherited::InheritedMembers;
use super::json::{self, Reader};
use super::message::Message;
use super::{Action, DecodeError, Extensions, Payload, PayloadError, RequestInfo, is_falsy_in_javascript};

impl Message {
    /// `payload` creates a payload from part of the frame.
    pub(super) fn read(frame: &str, payload: impl Fn(&str) -> Payload) -> Result<Message, DecodeError> {
        // `action` is `None` if absent and `Some(None)` if unknown.
        let (mut action, mut message, mut raw) = (None, Message::new(Action::Request), RawMembers::default());
        let mut inherited: Option<InheritedMembers> = None;
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
                "draining" => message.draining = json.raw()? == "true",
                "traceparent" | "tracestate" | "timeLeft" | "callChain" => {
                    inherited.get_or_insert_default().read(member, json)?
                }
                _ => json.skip()?,
            }
            Ok(())
        });
        if let Err(why) = read.and_then(|()| json.end()) {
            return Err(no_message(frame, why));
        }
        let Some(Some(action)) = action else { return Err(no_action(frame)) };
        message.action = action;
        if let Some(members) = inherited {
            message.inherited = members.into_inherited();
        }
        if !raw.is_empty() {
            message.id = Some(Id::with_raw_members(message.id, raw));
        }
        Ok(message)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), PayloadError> {
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
        if let Some(inherited) = &self.inherited {
            inherited.write(out);
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
        if self.draining {
            out.extend_from_slice(b",\"draining\":true");
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

#[cold]
pub(super) fn not_utf8(frame: &[u8]) -> DecodeError {
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
