//! Envelopes, registrations and timeouts: docs/protocol.md, section 8, line by line.

use connector_core::stp::frame::{forward, items, refusal, request, response, response_text};
use connector_core::stp::{BadService, Envelope, Frame, FrameError, Response, StpService, StpTimeout, unique_name};
use serde_json::value::RawValue;
use serde_json::{Value, json};

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

#[test]
fn frames_are_written_as_the_published_connector_expects() {
    let api = r#"{"method":"Add","params":{"text":"é \" \\ \n"}}"#;
    let wire: Value = serde_json::from_str(&request(api, 7, StpTimeout::default())).unwrap();
    assert_eq!(wire, json!({"method": "Request", "params": {"jsonRequest": api, "cookie": 7, "timeout": 30.0 as i64}}));
    assert_eq!(
        response_text(7, Ok("done")),
        r#"{"method":"RequestResponse","params":{"cookie":7,"success":true,"result":"done"}}"#
    );
    assert_eq!(
        response_text(0, Err("no")),
        r#"{"method":"RequestResponse","params":{"cookie":0,"success":false,"result":"no"}}"#
    );
    assert_eq!(
        response(&Response { cookie: 1, success: true, result: Some(&raw(r#"[ 1,"a" ]"#)) }),
        r#"{"method":"RequestResponse","params":{"cookie":1,"success":true,"result":[ 1,"a" ]}}"#
    );
}

#[test]
fn a_request_is_parsed_and_forwarded_unchanged() {
    let raw_message = r#""{\"method\":\"A\u0041\",  \"x\":1}""#;
    let frame = format!(r#"{{"params":{{"cookie":4,"timeout":2.5,"jsonRequest":{raw_message}}},"method":"Request"}}"#);
    let Frame::Request { cookie, message, raw, timeout } = Frame::parse(&frame).unwrap() else { panic!("no request") };
    assert_eq!((cookie, &*message, timeout.seconds()), (4, r#"{"method":"AA",  "x":1}"#, 2.5));
    let passed = forward(raw, 9, timeout);
    assert!(
        passed.contains(r#""jsonRequest":"{\"method\":\"A\u0041\",  \"x\":1}","cookie":9,"timeout":2.5"#),
        "{passed}"
    );
}

#[test]
fn any_other_frame_is_an_inform() {
    let Frame::Inform(envelope) = Frame::parse(r#" {"method":"TaskAdded","params":{"a":[1, 2]},"more":0} "#).unwrap()
    else {
        panic!("no inform")
    };
    assert_eq!((&*envelope.method, envelope.params.unwrap().get()), ("TaskAdded", r#"{"a":[1, 2]}"#));
    assert!(Envelope::parse(r#"{"method":"m","params":null}"#).unwrap().params.is_none());
}

#[test]
fn invalid_frames_are_rejected_with_a_reason() {
    for text in ["", "{", "hello", "{\"method\":\"a\"} x", "{\"method\":\"\\ud800\"}", "\u{feff}{}"] {
        assert!(matches!(Frame::parse(text), Err(FrameError::NotJson(_))), "{text}");
    }
    for text in ["{}", "[]", "1", "null", r#"{"method":5}"#, r#"{"params":{}}"#, r#"{"method":"a","method":"b"}"#] {
        assert_eq!(Frame::parse(text).unwrap_err(), FrameError::NoMethod, "{text}");
    }
    let bad = |params: &str| Frame::parse(&format!(r#"{{"method":"Request","params":{params}}}"#)).map(drop);
    for (params, known) in [
        (r#"{"cookie":3}"#, Some(3)),
        (r#"{"cookie":3,"jsonRequest":{"method":"A"}}"#, Some(3)),
        (r#"{"cookie":3,"jsonRequest":"x","timeout":"soon"}"#, Some(3)),
        (r#"{"cookie":"3","jsonRequest":"x"}"#, None),
        (r#"{"cookie":1e99,"jsonRequest":"x"}"#, None),
        (r#"{"jsonRequest":"x"}"#, None),
        ("null", None),
        ("[]", None),
    ] {
        assert!(
            matches!(bad(params), Err(FrameError::BadRequest { cookie, .. }) if cookie == known),
            "{params}: {:?}",
            bad(params)
        );
    }
    let no_cookie = r#"{"method":"RequestResponse","params":{"success":true}}"#;
    assert!(matches!(Frame::parse(no_cookie), Err(FrameError::BadResponse(_))));
}

#[test]
fn deep_nesting_does_not_overflow() {
    let deep = format!(r#"{{"method":"m","params":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(Frame::parse(&deep), Ok(Frame::Inform(_))));
    let result = raw(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert_eq!(items(Some(&result)).len(), 1);
}

#[test]
fn any_result_becomes_an_array_of_strings() {
    let items = |text: &str| items(Some(&raw(text)));
    assert_eq!(items(r#"["a", "é\n", 1, {"b": 2}]"#), ["a", "é\n", "1", r#"{"b": 2}"#]);
    assert_eq!(items(r#""one""#), ["one"]);
    assert_eq!(items(r#"{"a": 1}"#), [r#"{"a": 1}"#]);
    assert_eq!(items("5"), ["5"]);
    assert_eq!(items("[]"), [""; 0]);
    assert_eq!(connector_core::stp::frame::items(None), [""; 0]);
    assert_eq!(refusal(Some(&raw(r#""no""#))), "no");
    assert_eq!(refusal(Some(&raw(r#"{"code":1}"#))), r#"{"code":1}"#);
    assert_eq!(refusal(None), "no reason was given");
}

#[test]
fn times_are_in_seconds_and_30_by_default() {
    for seconds in [0.0, -1.0, f64::NAN, f64::NEG_INFINITY] {
        assert_eq!(StpTimeout::from_seconds(seconds).seconds(), 30.0, "{seconds}");
    }
    assert_eq!(StpTimeout::from(None).seconds(), 30.0);
    assert_eq!(StpTimeout::from_seconds(10.0).seconds(), 10.0);
    assert_eq!(StpTimeout::from_seconds(f64::INFINITY).seconds(), 86_400.0);
    assert_eq!(StpTimeout::from_seconds(1e-300).seconds(), 0.001);
    for timeout in ["", r#","timeout":null"#, r#","timeout":0"#, r#","timeout":-3"#] {
        let frame = format!(r#"{{"method":"Request","params":{{"jsonRequest":"x","cookie":1{timeout}}}}}"#);
        let Ok(Frame::Request { timeout, .. }) = Frame::parse(&frame) else { panic!("{frame}") };
        assert_eq!(timeout, StpTimeout::default());
    }
}

#[test]
fn both_forms_of_register_are_read_and_the_later_is_written() {
    let read = |params: &str| StpService::from_params(Some(&raw(params)));
    let old = read(r#"{"serviceName":"Tasks_x1","language":"javascript","solvables":"A, B,,C"}"#).unwrap();
    assert_eq!((&*old.service_name, &*old.language), ("Tasks_x1", "javascript"));
    assert_eq!(
        (old.solvables, old.machine_id, old.session_id),
        (["A", "B", "C"].map(str::to_owned).into(), None, None)
    );
    let new = read(r#"{"serviceName":"Tasks","solvables":["A","B"],"machineId":"m","sessionId":""}"#).unwrap();
    assert_eq!((new.solvables.len(), new.machine_id.as_deref(), new.session_id), (2, Some("m"), None));
    for empty in [r#""solvables":[]"#, r#""solvables":"""#, r#""solvables":null"#, r#""x":1"#] {
        assert_eq!(read(&format!(r#"{{"serviceName":"a",{empty}}}"#)).unwrap().solvables, [""; 0], "{empty}");
    }
    let service = StpService::new("Tasks", ["A", "B"]).machine_id("m").session_id("s");
    assert_eq!(
        serde_json::from_str::<Value>(&service.to_message()).unwrap(),
        json!({"method": "Register", "params": {"serviceName": "Tasks", "language": "rust", "solvables": ["A", "B"],
            "machineId": "m", "sessionId": "s"}})
    );
    let plain = StpService::new("Tasks", [""; 0]).to_message();
    assert!(!plain.contains("Id"), "missing values are absent, not null: {plain}");
}

#[test]
fn an_invalid_register_is_rejected() {
    let read = |params: &str| StpService::from_params(Some(&raw(params)));
    for params in ["{}", r#"{"serviceName":""}"#, r#"{"solvables":["A"]}"#] {
        assert_eq!(read(params), Err(BadService::NoName), "{params}");
    }
    assert_eq!(StpService::from_params(None), Err(BadService::NoName));
    for params in
        [r#"{"serviceName":5}"#, r#"{"serviceName":"a","solvables":[1]}"#, r#"{"serviceName":"a","solvables":7}"#, "7"]
    {
        assert!(matches!(read(params), Err(BadService::NotAService(_))), "{params}");
    }
    let many = StpService::new("a", (0..5000).map(|n| n.to_string()));
    assert_eq!(many.check(), Err(BadService::TooLarge));
    assert_eq!(StpService::new("x".repeat(2000), [""; 0]).check(), Err(BadService::TooLarge));
}

#[test]
fn names_are_unique_among_instances() {
    let names: std::collections::HashSet<String> = (0..1000).map(|_| unique_name("Tasks")).collect();
    assert_eq!(names.len(), 1000);
    assert!(names.iter().all(|name| name.starts_with("Tasks_")));
}
