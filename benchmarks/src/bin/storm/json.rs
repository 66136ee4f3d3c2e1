//! A storm on the JSON reader and writer: frames made of valid messages and then mutated, read by this project and by
//! serde_json, which has the last word.

use std::fmt;
use std::time::{Duration, Instant};

use connector_core::{DecodeError, Message, Payload};
use examples::{Done, report};
use fastrand::Rng;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How long, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Repeats a run; by default a new seed, which is printed.
    #[arg(long)]
    seed: Option<u64>,
}

const ACTIONS: [&str; 10] =
    ["request", "call", "response", "notification", "emit", "on", "listen", "once", "off", "cancel"];

pub(crate) fn storm(args: Args) -> Done {
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let mut rng = Rng::with_seed(seed);
    let end = Instant::now() + Duration::from_secs(args.seconds);
    let (mut frames, mut messages) = (0_u64, 0_u64);
    while frames % 64 != 0 || Instant::now() < end {
        frames += 1;
        let frame = frame(&mut rng);
        match compare(&frame) {
            Ok(is_message) => messages += u64::from(is_message),
            Err(why) => return Err(format!("{why}\nframe: {}\nseed {seed}", frame.escape_ascii()).into()),
        }
        let value = value(&mut rng, 4);
        if let Err(why) = written(&value) {
            return Err(format!("{why}\nvalue: {value}\nseed {seed}").into());
        }
    }
    report(format_args!("{frames} frames, {messages} of them messages, and as many values, seed {seed}"));
    Ok(())
}

/// Whether both readers say the same of the frame; `Ok(true)` if it is a message.
fn compare(frame: &[u8]) -> Result<bool, String> {
    let decoded = Message::decode(frame.to_vec().into());
    let copied = Message::decode_copied(frame);
    if decoded.is_ok() != copied.is_ok() {
        return Err(format!("decode: {decoded:?}, decode_copied: {copied:?}"));
    }
    let Ok(text) = std::str::from_utf8(frame) else {
        return if decoded.is_ok() { Err("not UTF-8, and read".to_owned()) } else { Ok(false) };
    };
    let members = match serde_json::from_str::<&RawValue>(text) {
        Err(error) => {
            return match decoded {
                Ok(message) => Err(format!("serde_json: {error}, and read as {message:?}")),
                Err(_) => Ok(false),
            };
        }
        // serde_json cannot read a member name or an action with an unpaired surrogate.
        Ok(raw) => match serde_json::from_str::<Members<'_>>(raw.get()) {
            Ok(members) => members.0,
            Err(_) if text.trim_start().starts_with('{') => return Ok(decoded.is_ok()),
            Err(_) => return if decoded.is_ok() { Err("no object, and read".to_owned()) } else { Ok(false) },
        },
    };
    let last = |name: &str| members.iter().rev().find(|(member, _)| member == name).map(|(_, value)| value.get());
    let action = last("action").map(serde_json::from_str::<String>);
    if matches!(&action, Some(Err(_))) && text.contains("\\u") {
        return Ok(decoded.is_ok());
    }
    let known = matches!(&action, Some(Ok(action)) if ACTIONS.contains(&&**action));
    let message = match (decoded, known) {
        (Ok(message), true) => message,
        (Err(_), false) => return Ok(false),
        (Err(DecodeError::Partial { why, .. }), true) => {
            return Err(format!("serde_json reads it, and not this: {why}"));
        }
        (Err(why), true) => return Err(format!("serde_json reads it, and not this: {why}")),
        (Ok(message), false) => return Err(format!("no known action, and read as {message:?}")),
    };
    let payload = message.payload.as_ref().map(|payload| payload.to_json().map_err(|error| error.to_string()));
    let payload = payload.transpose()?;
    if payload.as_deref() != last("payload").map(str::as_bytes) {
        return Err(format!("the payload is {payload:?}"));
    }
    let written = message.encode().map_err(|error| error.to_string())?;
    let again = Message::decode(written.clone().into()).map_err(|error| format!("written, it is not read: {error}"))?;
    match again.encode() {
        Ok(twice) if twice == written => Ok(true),
        other => Err(format!("written twice it differs: {:?}", other.map(|bytes| bytes.escape_ascii().to_string()))),
    }
}

/// Whether serde_json reads the written text back as the same value.
fn written(value: &Value) -> Result<(), String> {
    let json = Payload::new(value.clone()).to_json().map_err(|error| error.to_string())?;
    let read: Value = serde_json::from_slice(&json).map_err(|error| format!("{error}: {}", json.escape_ascii()))?;
    if read != *value {
        return Err(format!("written as {}", json.escape_ascii()));
    }
    let payload = Payload::from_json(json).map_err(|error| error.to_string())?;
    match payload.read::<Value>() {
        Ok(read) if read == *value || contains_whole_float(value) => Ok(()),
        other => Err(format!("read back as {other:?}")),
    }
}

/// `3.0` may be read as `3`.
fn contains_whole_float(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.is_f64(),
        Value::Array(items) => items.iter().any(contains_whole_float),
        Value::Object(members) => members.values().any(contains_whole_float),
        _ => false,
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

const SNIPPETS: [&str; 30] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "null",
    "true",
    "1e999",
    "-0",
    "0.5",
    "01",
    "NaN",
    "\\u0000",
    "\\ud83d",
    "\\ude00",
    "\u{fe0f}",
    "\u{1F600}",
    "\"action\":\"emit\"",
    "\"id\":7",
    "\"id\":null",
    "\"payload\":[1,{\"a\":2}]",
    "\"error\":\"no\"",
    "\"requestInfo\":{\"from\":\"a\",\"path\":\"b\"}",
    "\"extensions\":[\"cancelById\"]",
    " \t\r\n",
    "\"key\":5",
    "\u{7f}\u{80}",
];

/// A message, most often changed in some places.
fn frame(rng: &mut Rng) -> Vec<u8> {
    let mut members = vec![format!("\"action\":\"{}\"", ACTIONS[rng.usize(..ACTIONS.len())])];
    for name in [
        "id",
        "name",
        "key",
        "payload",
        "requestInfo",
        "error",
        "errorKind",
        "extensions",
        "traceparent",
        "timeLeft",
        "other",
    ] {
        if rng.bool() {
            members.push(format!("\"{name}\":{}", value(rng, 3)));
        }
    }
    // Long texts are read in another way.
    if rng.u8(..4) == 0 {
        members.push(format!("\"padding\":[\"{}\",{}]", "p".repeat(rng.usize(..3000)), value(rng, 2)));
    }
    rng.shuffle(&mut members);
    let mut frame = format!("{{{}}}", members.join(",")).into_bytes();
    for _ in 0..rng.usize(..6) {
        let at = rng.usize(..=frame.len());
        match rng.u8(..6) {
            0 if at < frame.len() => frame[at] ^= 1 << rng.u8(..8),
            1 if at < frame.len() => drop(frame.remove(at)),
            2 => frame.truncate(at),
            3 => {
                let end = (at + rng.usize(..40)).min(frame.len());
                let part = frame[at..end].to_vec();
                frame.splice(at..at, part);
            }
            _ => drop(frame.splice(at..at, SNIPPETS[rng.usize(..SNIPPETS.len())].bytes())),
        }
    }
    frame
}

fn value(rng: &mut Rng, depth: usize) -> Value {
    match rng.u8(..if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => rng.bool().into(),
        2 => rng.i64(..).into(),
        3 => rng.u64(..).into(),
        // serde_json reads other fractions inexactly.
        4 => (f64::from(rng.i32(..)) / 8.0).into(),
        5 => text(rng).into(),
        6 => (0..rng.usize(..4)).map(|_| value(rng, depth - 1)).collect(),
        _ => (0..rng.usize(..4)).map(|_| (text(rng), value(rng, depth - 1))).collect(),
    }
}

fn text(rng: &mut Rng) -> String {
    let length = match rng.u8(..32) {
        0 => rng.usize(..3000),
        1..5 => rng.usize(..200),
        _ => rng.usize(..12),
    };
    // Most of the characters of some texts need no escape.
    let kinds = if rng.bool() { 8 } else { 255 };
    (0..length)
        .map(|_| match rng.u8(..kinds) {
            0 => rng.char('\0'..' '),
            1 => ['"', '\\', '/', '\u{7f}', '\u{2028}'][rng.usize(..5)],
            2 => rng.char(..),
            _ => rng.char('a'..='z'),
        })
        .collect()
}
