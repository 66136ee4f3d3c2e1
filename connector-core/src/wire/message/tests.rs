use proptest::prelude::*;

use super::*;
use crate::wire::json::strategy::nested;
use crate::wire::{CallChain, TraceContext};

fn decode(text: &str) -> Result<Message, DecodeError> {
    Message::decode(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn old_action_names_are_accepted_and_new_ones_written() {
    for (read, written) in [("call", "request"), ("listen", "on"), ("emit", "emit"), ("notification", "notification")] {
        let message = decode(&format!(r#"{{"action":"{read}"}}"#)).unwrap();
        assert_eq!(message.encode().unwrap(), format!(r#"{{"action":"{written}"}}"#).as_bytes());
    }
}

#[test]
fn an_invalid_message_is_rejected_with_a_reason() {
    let why = |text: &str| decode(text).unwrap_err();
    assert!(matches!(why("hello"), DecodeError::NotJson(_)));
    assert!(matches!(why(r#"{"action":"request""#), DecodeError::NotJson(_)));
    for text in ["5", "[]", "{}", r#"{"action":5}"#, r#"{"action":"jump"}"#, r#"{"action":"on","action":5}"#] {
        assert!(matches!(why(text), DecodeError::NotAMessage(_)), "{text}");
    }
    assert!(why(r#"{"action":"jump"}"#).to_string().contains(r#"unknown action "jump""#));
}

#[test]
fn the_readable_head_is_returned_if_a_response_may_be_expected() {
    for (text, head) in [
        (r#"{"action":"jump","id":7,"key":5}"#, r#"{"action":"request","id":7,"key":5}"#),
        (r#"{"action":"response","payload":NaN,"id":7}"#, r#"{"action":"response","id":7}"#),
        (r#"{"action":"call","name":"\ud83d","id":7,"#, r#"{"action":"request","id":7,"name":"\ud83d"}"#),
    ] {
        let DecodeError::Partial { head: read, why } = decode(text).unwrap_err() else { panic!("{text}") };
        assert_eq!(read.encode().unwrap(), head.as_bytes());
        assert!(!matches!(*why, DecodeError::Partial { .. }));
    }
    for unanswerable in [r#"{"action":"emit","id":7,"payload":NaN}"#, r#"{"action":"response","payload":NaN}"#] {
        assert!(matches!(decode(unanswerable).unwrap_err(), DecodeError::NotJson(_)), "{unanswerable}");
    }
}

#[test]
fn a_message_fits_two_cache_lines() {
    assert_eq!((size_of::<Message>(), size_of::<Option<Id>>()), (128, 16));
}

#[test]
fn long_payloads_share_the_frame_and_short_ones_are_copied() {
    for (length, shared) in [(10, false), (SHORT, false), (SHORT + 1, true)] {
        let json = format!(r#"["{}\ud800"]"#, "x".repeat(length - 10));
        let frame = Bytes::from(format!(r#"{{"action":"request","payload":{json}  }}"#));
        let read = Message::decode(frame.clone()).unwrap().payload.unwrap().to_json().unwrap();
        assert_eq!(read, json);
        assert_eq!(frame.as_ptr_range().contains(&read.as_ptr()), shared, "{length}");
    }
}

#[test]
fn null_is_a_payload_and_false_is_not_an_error() {
    assert!(decode(r#"{"action":"response","payload":null}"#).unwrap().payload.is_some());
    for no_error in ["null", "false", "0", r#""""#] {
        assert!(decode(&format!(r#"{{"action":"response","error":{no_error}}}"#)).unwrap().error.is_none());
    }
    assert!(decode(r#"{"action":"response","error":{}}"#).unwrap().error.is_some());
}

#[test]
fn unknown_extensions_are_ignored() {
    let read = |text: &str| decode(&format!(r#"{{"action":"request","extensions":{text}}}"#)).unwrap().extensions;
    assert_eq!(read(r#"["cancelById","warp"]"#), Some(Extensions { cancel_by_id: true, ..Extensions::default() }));
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
    nested(leaf)
}

proptest! {
    #[test]
    fn messages_survive_the_wire(
        action in prop::sample::select(vec![
            Action::Request, Action::Response, Action::On, Action::Once, Action::Off, Action::Emit,
            Action::Notification, Action::Cancel, Action::Await,
        ]),
        id in any::<Option<i64>>(), name in ".*", key in prop::option::of(".*"),
        payload in prop::option::of(json()), from in ".*", path in prop::option::of(".*"),
        parent in "[0-9a-f-]{1,128}", state in prop::option::of("[ -~]{1,512}"), left in prop::option::of(any::<u32>()),
        runs in prop::collection::vec(".{0,40}", 0..5),
    ) {
        let mut message = Message::new(action);
        message.id = id.map(Id::from);
        message.name = Some(name.into());
        message.key = key.map(Name::from);
        message.payload = payload.clone().map(Payload::new);
        let path = path.map(Name::from);
        message.request_info = Some(Box::new(RequestInfo { from: from.into(), path, is_from_native: None }));
        let trace = TraceContext::new(&parent, state.as_deref());
        let time_left = left.map(|left| std::time::Duration::from_millis(left.into()));
        let chain = (!runs.is_empty()).then(|| runs.into_iter().fold(CallChain::default(), CallChain::extended));
        message.inherited = Some(Box::new(Inherited { trace, time_left, chain }));
        let back = Message::decode(message.encode().unwrap().into()).unwrap();
        prop_assert_eq!(back.action, message.action);
        prop_assert_eq!(back.id, message.id);
        prop_assert_eq!(&back.name, &message.name);
        prop_assert_eq!(&back.key, &message.key);
        prop_assert_eq!(&back.request_info, &message.request_info);
        prop_assert_eq!(&back.inherited, &message.inherited);
        prop_assert_eq!(back.payload.map(|p| p.read::<serde_json::Value>().unwrap()), payload);
    }

    #[test]
    fn no_frame_can_cause_a_panic(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::decode(frame.into());
    }
}

#[test]
fn a_payload_keeps_a_frame_alive_only_if_it_is_most_of_it() {
    for (payload, junk, kept) in [(100_000, 10, true), (100_000, 200_000, false), (100, 10, false)] {
        let (payload, junk) = ("x".repeat(payload), "y".repeat(junk));
        let text = format!(r#"{{"action":"emit","key":"e","payload":["{payload}"],"junk":"{junk}"}}"#);
        let frame = Bytes::from(text);
        let message = Message::decode(frame.clone()).unwrap();
        assert_eq!(frame.is_unique(), !kept, "{} of {} bytes", payload.len(), frame.len());
        assert_eq!(message.payload.unwrap().weight(), payload.len() + 4);
    }
}
