//! Encoding and decoding of messages, and reading of payloads.

use std::hint::black_box;

use bytes::Bytes;
use connector_core::{Action, Message, Payload, RequestInfo};

use super::Case;

type Named<T> = (&'static str, fn() -> T);

pub(super) fn cases() -> Vec<Case> {
    let messages: [Named<Message>; 8] = [
        ("request", || request(small())),
        ("request with info", request_with_info),
        ("response", response),
        ("event", event),
        ("plain 64 B", || request(text(PLAIN, 64))),
        ("plain 64 KiB", || request(text(PLAIN, 64 << 10))),
        ("escapes 64 B", || request(text(ESCAPES, 64))),
        ("escapes 64 KiB", || request(text(ESCAPES, 64 << 10))),
    ];
    let payloads: [Named<Payload>; 4] = [
        ("plain 64 B", || text(PLAIN, 64)),
        ("plain 64 KiB", || text(PLAIN, 64 << 10)),
        ("escapes 64 B", || text(ESCAPES, 64)),
        ("escapes 64 KiB", || text(ESCAPES, 64 << 10)),
    ];
    let to_and_fro = messages.into_iter().flat_map(|(name, message)| [encode(name, message), decode(name, message)]);
    let passed_on = encode("passed on 64 KiB", || request(passed_on(text(PLAIN, 64 << 10))));
    let read = payloads.into_iter().map(|(name, payload)| read(name, payload));
    to_and_fro.chain([passed_on]).chain(read).collect()
}

fn encode(name: &str, message: fn() -> Message) -> Case {
    Case::new(format!("encode/{name}"), move || {
        let message = message();
        move || {
            black_box(black_box(&message).encode().unwrap());
        }
    })
}

fn decode(name: &str, message: fn() -> Message) -> Case {
    Case::new(format!("decode/{name}"), move || {
        let frame = Bytes::from(message().encode().unwrap());
        move || {
            black_box(Message::decode(black_box(&frame).clone()).unwrap());
        }
    })
}

/// As a method reads arguments received over a link.
fn read(name: &str, payload: fn() -> Payload) -> Case {
    Case::new(format!("read/{name}"), move || {
        let payload = passed_on(payload());
        move || {
            black_box(black_box(&payload).clone().read::<(String,)>().unwrap());
        }
    })
}

const PLAIN: &str = "All of this is plain text. ";
const ESCAPES: &str = "\"Half\"\tof\\this\nis\u{1}not\r\n";

/// Unserialized arguments: one text of the given length.
fn text(of: &str, length: usize) -> Payload {
    let text: String = of.chars().cycle().take(length).collect();
    Payload::new((text,))
}

/// The payload as received over a link: JSON.
fn passed_on(payload: Payload) -> Payload {
    Payload::from_json(payload.to_json().unwrap()).unwrap()
}

fn small() -> Payload {
    Payload::new((20, 22))
}

fn request(payload: Payload) -> Message {
    Message {
        id: Some(7.into()),
        name: Some("calculator".into()),
        key: Some("add".into()),
        payload: Some(payload),
        ..Message::new(Action::Request)
    }
}

fn request_with_info() -> Message {
    let mut info = RequestInfo::new("local");
    info.path = Some("calculator".into());
    Message { request_info: Some(Box::new(info)), ..request(small()) }
}

fn response() -> Message {
    Message { action: Action::Response, ..request(Payload::new(42)) }
}

fn event() -> Message {
    Message { action: Action::Notification, id: None, ..request(small()) }
}
