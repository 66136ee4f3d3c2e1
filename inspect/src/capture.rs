//! Makes records of observations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use connector_core::{CallOutcome, Direction as Way, Observation, ObservedCall, Payload};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::record::{Direction, Kind, Outcome, Record};
use crate::text::beginning;

/// Makes records of what an engine's observer is told, and decides what of a payload is kept.
///
/// What is not kept is gone before a record leaves this type: secrets by their JSON pointers, and what is too large.
#[derive(Debug)]
pub struct Capture {
    began: Instant,
    records: AtomicU64,
    max_data: usize,
    redacted: Vec<String>,
    values: bool,
}

impl Capture {
    /// Begins a capture: 16 KiB of each payload, without redaction, and values between threads by their size only.
    #[allow(clippy::new_without_default, reason = "the clock starts")]
    pub fn new() -> Capture {
        Capture {
            began: Instant::now(),
            records: AtomicU64::new(0),
            max_data: 16 * 1024,
            redacted: Vec::new(),
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
    /// for each member or item: `/*/password` hides the member `password` of every argument. Default: none.
    ///
    /// A payload that cannot be parsed is not kept if there is any pointer.
    #[must_use]
    pub fn redact(mut self, pointers: impl IntoIterator<Item = impl Into<String>>) -> Capture {
        self.redacted.extend(pointers.into_iter().map(Into::into));
        self
    }

    /// Whether values that are not serialized between plugins of this process are serialized for records. Default `false`:
    /// their size is kept.
    #[must_use]
    pub fn values(mut self, are_kept: bool) -> Capture {
        self.values = are_kept;
        self
    }

    /// The record of an observation; `None` for a kind that this version does not know.
    pub fn record(&self, observation: &Observation<'_>) -> Option<Record> {
        let mut record = Record::default();
        match observation {
            Observation::Message { plugin, direction, message } => {
                record.kind = Kind::Message;
                record.plugin = Some((*plugin).into());
                record.direction = Some(match direction {
                    Way::ToPlugin => Direction::ToPlugin,
                    Way::FromPlugin => Direction::FromPlugin,
                });
                let json = message.encode().ok().and_then(|json| String::from_utf8(json).ok());
                self.keep(&mut record, json, &["payload", "error"]);
            }
            Observation::CallQueued { call, args } => {
                of_call(&mut record, Kind::CallQueued, call);
                self.keep_payload(&mut record, args);
            }
            Observation::CallStarted { call, waited } => {
                of_call(&mut record, Kind::CallStarted, call);
                record.waited = Some(micros(*waited));
            }
            Observation::CallEnded { call, waited, ran, outcome } => {
                of_call(&mut record, Kind::CallEnded, call);
                record.waited = Some(micros(*waited));
                record.ran = ran.map(micros);
                record.outcome = Some(match outcome {
                    CallOutcome::Returned(result) => {
                        self.keep_payload(&mut record, result);
                        Outcome::Returned
                    }
                    CallOutcome::Failed(error) => {
                        self.keep_payload(&mut record, &error.to_payload());
                        Outcome::Failed
                    }
                    _ => Outcome::Dropped,
                });
            }
            Observation::Event { emitter, event, args, listeners } => {
                record.kind = Kind::Event;
                record.from = Some((*emitter).into());
                record.key = Some((*event).into());
                record.listeners = Some(*listeners);
                self.keep_payload(&mut record, args);
            }
            Observation::Link { plugin, state } => {
                record.kind = Kind::Link;
                record.plugin = Some((*plugin).into());
                record.text = Some(state.to_string().into());
            }
            Observation::BadFrame { plugin, error } => {
                record.kind = Kind::BadFrame;
                record.plugin = Some((*plugin).into());
                record.text = Some(error.to_string().into());
            }
            _ => return None,
        }
        record.at = micros(self.began.elapsed());
        record.seq = self.records.fetch_add(1, Ordering::Relaxed) + 1;
        Some(record)
    }

    /// When it began.
    #[cfg(feature = "server")]
    pub(crate) fn began(&self) -> Instant {
        self.began
    }

    /// What may be shown of a payload, up to `max` bytes; and its length, if that is not all.
    #[cfg(feature = "server")]
    pub(crate) fn shown(&self, payload: &Payload, max: usize) -> (Option<Box<RawValue>>, Option<usize>) {
        let json = payload.to_json().ok().and_then(|json| String::from_utf8(json.to_vec()).ok());
        match json.and_then(|json| self.without_secrets(json, &[])) {
            Some(json) if json.len() > max => {
                (serde_json::value::to_raw_value(beginning(&json, max)).ok(), Some(json.len()))
            }
            json => (json.and_then(|json| RawValue::from_string(json).ok()), None),
        }
    }

    fn keep_payload(&self, record: &mut Record, payload: &Payload) {
        let json = payload.to_json().ok().and_then(|json| String::from_utf8(json.to_vec()).ok());
        self.keep(record, json, &[]);
    }

    /// Keeps what is allowed of a text. `members` hold payloads; without any, the text is one.
    fn keep(&self, record: &mut Record, json: Option<String>, members: &[&str]) {
        let Some(json) = json.and_then(|json| self.without_secrets(json, members)) else { return };
        if json.len() <= self.max_data {
            record.data = RawValue::from_string(json).ok();
        } else {
            record.cut = Some(json.len());
            record.data = serde_json::value::to_raw_value(beginning(&json, self.max_data)).ok();
        }
    }

    fn without_secrets(&self, json: String, members: &[&str]) -> Option<String> {
        if self.redacted.is_empty() {
            return Some(json);
        }
        let mut value: Value = serde_json::from_str(&json).ok()?;
        for pointer in &self.redacted {
            let parts: Vec<String> =
                pointer.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
            match members {
                [] => hide(&mut value, &parts),
                members => {
                    for member in members {
                        if let Some(payload) = value.get_mut(member) {
                            hide(payload, &parts);
                        }
                    }
                }
            }
        }
        Some(value.to_string())
    }
}

fn of_call(record: &mut Record, kind: Kind, call: &ObservedCall<'_>) {
    record.kind = kind;
    record.call = Some(call.number);
    record.from = Some(call.from.into());
    record.to = Some(call.to.into());
    record.key = Some(call.method.into());
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Replaces the values that a pointer's parts lead to.
fn hide(value: &mut Value, parts: &[String]) {
    let Some((part, rest)) = parts.split_first() else {
        *value = Value::String("…".to_owned());
        return;
    };
    match value {
        Value::Object(members) if part == "*" => members.values_mut().for_each(|member| hide(member, rest)),
        Value::Object(members) => {
            if let Some(member) = members.get_mut(part) {
                hide(member, rest);
            }
        }
        Value::Array(items) if part == "*" => items.iter_mut().for_each(|item| hide(item, rest)),
        Value::Array(items) => {
            if let Some(item) = part.parse::<usize>().ok().and_then(|index| items.get_mut(index)) {
                hide(item, rest);
            }
        }
        _ => {}
    }
}
