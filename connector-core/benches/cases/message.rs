//! Messages to JSON and back, and payloads that are read.

use std::hint::black_box;

use bytes::Bytes;
use connector_core::{Action, Message, Payload, RequestInfo};

use super::Case;

pub(super) fn cases() -> Vec<Case> {
    vec![
        encode("encode/request", || request(small())),
        encode("encode/request with info", request_with_info),
        encode("encode/response", response),
        encode("encode/event", event),
        encode("encode/plain 64 B", || request(text(PLAIN, 64))),
        encode("encode/plain 64 KiB", || request(text(PLAIN, 64 << 10))),
        encode("encode/escapes 64 B", || request(text(ESCAPES, 64))),
        encode("encode/escapes 64 KiB", || request(text(ESCAPES, 64 << 10))),
        encode("encode/passed on 64 KiB", || request(passed_on(text(PLAIN, 64 << 10)))),
        decode("decode/request", || request(small())),
        decode("decode/request with info", request_with_info),
        decode("decode/response", response),
        decode("decode/event", event),
        decode("decode/plain 64 B", || request(text(PLAIN, 64))),
        decode("decode/plain 64 KiB", || request(text(PLAIN, 64 << 10))),
        decode("decode/escapes 64 B", || request(text(ESCAPES, 64))),
        decode("decode/escapes 64 KiB", || request(text(ESCAPES, 64 << 10))),
        read("read/plain 64 B", || text(PLAIN, 64)),
        read("read/plain 64 KiB", || text(PLAIN, 64 << 10)),
        read("read/escapes 64 B", || text(ESCAPES, 64)),
        read("read/escapes 64 KiB", || text(ESCAPES, 64 << 10)),
    ]
}

fn encode(name: &'static str, message: fn() -> Message) -> Case {
    Case::new(name, move || {
        let message = message();
        move || {
            black_box(black_box(&message).encode().unwrap());
        }
    })
}

fn decode(name: &'static str, message: fn() -> Message) -> Case {
    Case::new(name, move || {
        let frame = Bytes::from(message().encode().unwrap());
        move || {
            black_box(Message::decode(black_box(&frame).clone()).unwrap());
        }
    })
}

/// As a method reads the arguments that came over a link.
fn read(name: &'static str, payload: fn() -> Payload) -> Case {
    Case::new(name, move || {
        let payload = passed_on(payload());
        move || {
            black_box(black_box(&payload).clone().read::<(String,)>().unwrap());
        }
    })
}

const PLAIN: &str = "All of this is plain text. ";
const ESCAPES: &str = "\"Half\"\tof\\this\nis\u{1}not\r\n";

/// Arguments that nobody has serialized yet: one text of so many bytes.
fn text(of: &str, length: usize) -> Payload {
    let text: String = of.chars().cycle().take(length).collect();
    Payload::new((text,))
}

/// The payload as it is when it has come over a link: JSON.
fn passed_on(payload: Payload) -> Payload {
    Payload::from_json(payload.to_json().unwrap()).unwrap()
}

fn small() -> Payload {
    Payload::new((20, 22))
}

fn request(payload: Payload) -> Message {
    Message {
        id: Some(7),
        name: Some("calculator".into()),
        key: Some("add".into()),
        payload: Some(payload),
        ..Message::new(Action::Request)
    }
}

fn request_with_info() -> Message {
    let info = RequestInfo { from: "local".into(), path: Some("calculator".into()), is_from_native: None };
    Message { request_info: Some(Box::new(info)), ..request(small()) }
}

fn response() -> Message {
    Message { action: Action::Response, ..request(Payload::new(42)) }
}

fn event() -> Message {
    Message { action: Action::Notification, id: None, ..request(small()) }
}
