//! Makes records of observations.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use connector_core::{CallOutcome, Direction as Way, Message, Observation, ObservedCall, Payload};
use serde_json::value::RawValue;

use crate::record::{Direction, Kind, Outcome, Record};
use crate::redact::Redaction;
use crate::text::{beginning, micros};

/// Makes records of what an engine's observer receives, and decides what of a payload is kept.
///
/// What is not kept is gone before a record leaves this type: secrets by their JSON pointers, and what is too large.
#[derive(Debug)]
pub struct Capture {
    began: Instant,
    records: AtomicU64,
    max_data: usize,
    redaction: Arc<Redaction>,
    values: bool,
}

/// The bytes kept of a plugin's, method's or event's name, and of a text. The engine refuses longer names.
const MAX_NAME: usize = 1024;

impl Capture {
    /// Begins a capture: 16 KiB of each payload, without redaction, and values between threads by their size only.
    #[allow(clippy::new_without_default, reason = "the clock starts")]
    pub fn new() -> Capture {
        Capture {
            began: Instant::now(),
            records: AtomicU64::new(0),
            max_data: 16 * 1024,
            redaction: Arc::default(),
            values: false,
        }
    }

    /// Bytes of JSON kept of each payload or message; of a longer one the beginning is kept. Default 16 KiB.
    #[must_use]
    pub fn max_data(mut self, bytes: usize) -> Capture {
        self.max_data = bytes;
        self
    }

    /// Replaces the values at these JSON pointers (RFC 6901) by `"…"`, in arguments, results and errors. A part `*` stands
    /// for each member or item: `/*/password` hides the member `password` of every argument. The empty pointer, or what does
    /// not begin with `/`, hides everything. Default: none.
    ///
    /// If there is any pointer, nothing is kept of a payload that is too long or cannot be parsed, except its length.
    #[must_use]
    pub fn redact(mut self, pointers: impl IntoIterator<Item = impl Into<String>>) -> Capture {
        Arc::make_mut(&mut self.redaction).extend(pointers.into_iter().map(Into::into));
        self
    }

    /// Whether values that are not serialized between plugins of this process are serialized for records, unless their JSON
    /// is longer than [`max_data`](Capture::max_data). Default `false`: their size is kept.
    #[must_use]
    pub fn values(mut self, are_kept: bool) -> Capture {
        self.values = are_kept;
        self
    }

    /// When the capture began: the time 0 of its records.
    pub fn began(&self) -> Instant {
        self.began
    }

    #[cfg(feature = "server")]
    pub(crate) fn redaction(&self) -> Arc<Redaction> {
        Arc::clone(&self.redaction)
    }

    /// What is kept: the limit in bytes, whether values are serialized, and the pointers that are redacted.
    pub(crate) fn settings(&self) -> (usize, bool, &[String]) {
        (self.max_data, self.values, self.redaction.pointers())
    }

    /// The record of an observation; `None` for those that are not recorded: [`Observation::CallWaits`], whose time
    /// [`Observation::CallStarted`] has, and kinds that this version does not know.
    pub fn record(&self, observation: &Observation<'_>) -> Option<Record> {
        let mut record = Record::default();
        match observation {
            Observation::Message { plugin, replica, direction, message, moves_values } => {
                record.kind = Kind::Message;
                record.plugin = Some(name(plugin));
                record.replica = replica.map(name);
                record.direction = Some(match direction {
                    Way::ToPlugin => Direction::ToPlugin,
                    Way::FromPlugin => Direction::FromPlugin,
                });
                self.keep_message(&mut record, message, if *moves_values { self.serialized() } else { usize::MAX });
            }
            Observation::CallQueued { call, args } => {
                of_call(&mut record, Kind::CallQueued, call);
                self.keep_payload(&mut record, args, self.serialized());
            }
            Observation::CallStarted { call, waited, replica, .. } => {
                of_call(&mut record, Kind::CallStarted, call);
                record.replica = replica.map(name);
                record.waited = Some(micros(*waited));
            }
            Observation::CallEnded { call, waited, ran, outcome } => {
                of_call(&mut record, Kind::CallEnded, call);
                record.waited = Some(micros(*waited));
                record.ran = ran.map(micros);
                record.outcome = Some(match outcome {
                    CallOutcome::Returned(result) => {
                        self.keep_payload(&mut record, result, self.serialized());
                        Outcome::Returned
                    }
                    CallOutcome::Failed(error) => {
                        self.keep_payload(&mut record, &error.to_payload(), usize::MAX);
                        Outcome::Failed
                    }
                    _ => Outcome::Dropped,
                });
            }
            Observation::Event { emitter, event, args, listeners } => {
                record.kind = Kind::Event;
                record.from = Some(name(emitter));
                record.key = Some(name(event));
                record.listeners = Some(*listeners);
                self.keep_payload(&mut record, args, self.serialized());
            }
            Observation::Link { plugin, replica, state } => {
                record.kind = Kind::Link;
                record.plugin = Some(name(plugin));
                record.replica = replica.map(name);
                record.text = Some(name(&state.to_string()));
            }
            Observation::BadFrame { plugin, replica, error } => {
                record.kind = Kind::BadFrame;
                record.plugin = Some(name(plugin));
                record.replica = replica.map(name);
                // The error quotes the frame, in which no pointer finds a secret.
                record.text = Some(match self.redaction.is_empty() {
                    true => name(&error.to_string()),
                    false => "it cannot be read, and is not shown because values are redacted".into(),
                });
            }
            _ => return None,
        }
        record.at = micros(self.began.elapsed());
        record.seq = self.records.fetch_add(1, Ordering::Relaxed) + 1;
        Some(record)
    }

    /// What may be shown of a payload, up to `max` bytes; and its length, if that is not all.
    #[cfg(feature = "server")]
    pub(crate) fn shown(&self, payload: &Payload, max: usize) -> (Option<Box<RawValue>>, Option<usize>) {
        let Ok(text) = text(payload, usize::MAX) else { return (None, None) };
        match self.redaction.apply(text.to_owned(), &[]) {
            Some(json) if json.len() > max => {
                (serde_json::value::to_raw_value(beginning(&json, max)).ok(), Some(json.len()))
            }
            Some(json) => (RawValue::from_string(json).ok(), None),
            None => (None, Some(text.len())),
        }
    }

    /// Up to which size values between plugins of this process are serialized.
    fn serialized(&self) -> usize {
        if self.values { self.max_data } else { 0 }
    }

    fn keep_payload(&self, record: &mut Record, payload: &Payload, serialized: usize) {
        match text(payload, serialized) {
            Ok(text) if text.len() <= self.max_data => self.keep(record, text.to_owned(), &[]),
            Ok(text) => self.cut(record, text.len(), String::new(), text),
            Err(bytes) => record.cut = Some(bytes),
        }
    }

    fn keep_message(&self, record: &mut Record, message: &Message, serialized: usize) {
        let payloads = [message.payload.as_ref(), message.error.as_deref()].into_iter().flatten();
        let texts = payloads.map(|payload| text(payload, serialized)).collect::<Vec<_>>();
        let is_whole = texts.iter().all(Result::is_ok);
        let bytes: usize = texts.iter().map(|text| text.map_or_else(|bytes| bytes, str::len)).sum();
        let names: usize = [&message.name, &message.key].into_iter().flatten().map(|name| name.len()).sum();
        if is_whole && bytes + names <= self.max_data {
            return self.keep(record, encoded(message), &["payload", "error"]);
        }
        // Not encoded as a whole only to be cut.
        let mut head = Message { payload: None, error: None, ..message.clone() };
        for name in [&mut head.name, &mut head.key].into_iter().flatten() {
            *name = cut_name(name).into();
        }
        let mut json = encoded(&head);
        let length = bytes + names + json.len();
        match texts.last() {
            Some(Ok(text)) if is_whole => {
                json.pop();
                json.push_str(if message.error.is_some() { ",\"error\":" } else { ",\"payload\":" });
                self.cut(record, length, json, text);
            }
            _ if json.len() <= self.max_data => {
                record.cut = Some(length);
                record.data = RawValue::from_string(on_one_line(json)).ok();
            }
            _ => self.cut(record, length, json, ""),
        }
    }

    /// Keeps a text that may still be too long. `members` hold payloads; without any, the text is one.
    fn keep(&self, record: &mut Record, json: String, members: &[&str]) {
        let length = json.len();
        if length > self.max_data {
            return self.cut(record, length, String::new(), &json);
        }
        match self.redaction.apply(json, members) {
            Some(json) => record.data = RawValue::from_string(on_one_line(json)).ok(),
            None => record.cut = Some(length),
        }
    }

    /// Keeps the beginning of a text that is too long, after `head`, unless there may be a secret in it.
    fn cut(&self, record: &mut Record, length: usize, mut head: String, text: &str) {
        record.cut = Some(length);
        if self.redaction.is_empty() {
            let left = self.max_data.saturating_sub(head.len());
            head.push_str(beginning(text, left));
        }
        head.truncate(beginning(&head, self.max_data).len());
        record.data = (!head.is_empty()).then(|| serde_json::value::to_raw_value(&head).ok()).flatten();
    }
}

/// The JSON text of a payload. A value is serialized if its JSON has about `max` bytes at most.
///
/// # Errors
/// The size in bytes of a value that is not, or cannot be, serialized.
fn text(payload: &Payload, max: usize) -> Result<&str, usize> {
    if payload.json_text().is_none() && max > 0 && payload.held_bytes(true) <= max {
        // Kept in the payload, so that a link does not serialize it again.
        let _ = payload.to_json();
    }
    payload.json_text().ok_or_else(|| payload.held_bytes(true))
}

/// A message whose values are serialized.
fn encoded(message: &Message) -> String {
    message.encode().ok().and_then(|json| String::from_utf8(json).ok()).unwrap_or_else(|| "null".to_owned())
}

/// JSON without the line breaks between its tokens: a record is one line.
fn on_one_line(json: String) -> String {
    match json.contains(['\n', '\r']) {
        true => json.replace(['\n', '\r'], " "),
        false => json,
    }
}

fn of_call(record: &mut Record, kind: Kind, call: &ObservedCall<'_>) {
    record.kind = kind;
    record.call = Some(call.number);
    record.from = Some(name(call.from));
    record.to = Some(name(call.to));
    record.key = Some(name(call.method));
}

fn name(text: &str) -> Box<str> {
    cut_name(text).into()
}

fn cut_name(text: &str) -> std::borrow::Cow<'_, str> {
    match text.len() {
        ..=MAX_NAME => text.into(),
        _ => format!("{}…", beginning(text, MAX_NAME)).into(),
    }
}

#[cfg(test)]
mod tests;
