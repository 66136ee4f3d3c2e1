use connector_core::Action;
use serde_json::{Value, json};

use super::*;

fn of_message(capture: &Capture, message: &Message, moves_values: bool) -> Record {
    let direction = Way::ToPlugin;
    capture.record(&Observation::Message { plugin: "p", replica: None, direction, message, moves_values }).unwrap()
}

fn request(payload: Payload) -> Message {
    Message {
        id: Some(7.into()),
        name: Some("p".into()),
        key: Some("m".into()),
        payload: Some(payload),
        ..Message::new(Action::Request)
    }
}

fn data(record: &Record) -> Value {
    serde_json::from_str(record.data.as_ref().unwrap().get()).unwrap()
}

#[test]
fn a_message_is_kept_as_on_the_wire() {
    let message = request(Payload::from_json("[ 1.0,\n2 ]").unwrap());
    let record = of_message(&Capture::new(), &message, false);
    let text = r#"{"action":"request","id":7,"name":"p","key":"m","payload":[ 1.0, 2 ]}"#;
    assert_eq!(record.data.unwrap().get(), text, "on one line");
    assert_eq!((record.seq, record.cut), (1, None));
}

#[test]
fn of_a_long_message_the_beginning_and_the_length_are_kept() {
    let long = format!("[\"{}\"]", "é".repeat(50_000));
    let record = of_message(&Capture::new().max_data(1000), &request(Payload::from_json(long).unwrap()), false);
    let text = data(&record).as_str().unwrap().to_owned();
    assert!(text.starts_with(r#"{"action":"request","id":7,"name":"p","key":"m","payload":["éé"#), "{text}");
    assert!(text.len() <= 1000 && text.len() > 990, "{}", text.len());
    assert!(record.cut.unwrap() > 100_000, "{:?}", record.cut);
}

#[test]
fn a_long_name_is_cut() {
    let method = "m".repeat(1 << 20);
    let message = Message { key: Some(method.as_str().into()), ..request(Payload::no_args()) };
    let record = of_message(&Capture::new(), &message, false);
    assert!(record.data.unwrap().get().len() < 2000);
    let args = Payload::no_args();
    let event = Observation::Event { emitter: "p", event: &method, args: &args, listeners: 0 };
    let record = Capture::new().record(&event).unwrap();
    assert!(record.key.unwrap().len() < 1100);
}

#[test]
fn values_between_threads_are_kept_by_their_size() {
    let value = || Payload::new(vec!["x".repeat(100)]);
    let record = of_message(&Capture::new(), &request(value()), true);
    assert_eq!(data(&record), json!({ "action": "request", "id": 7, "name": "p", "key": "m" }));
    assert!(record.cut.unwrap() > 100);
    for (capture, moves_values) in [(Capture::new().values(true), true), (Capture::new(), false)] {
        let record = of_message(&capture, &request(value()), moves_values);
        assert_eq!((&data(&record)["payload"][0], record.cut), (&json!("x".repeat(100)), None));
    }
}

#[test]
fn secrets_are_hidden_before_anything_is_kept() {
    let capture = Capture::new().max_data(200).redact(["/*/password", "/message"]);
    let args = r#"[{"user":"ada","password":"s3cret"}]"#;
    let record = of_message(&capture, &request(Payload::from_json(args).unwrap()), false);
    assert_eq!(data(&record)["payload"], json!([{ "user": "ada", "password": "…" }]));
    let failed = Message {
        error: Some(Box::new(Payload::from_json(r#"{"message":"s3cret","code":5}"#).unwrap())),
        ..Message::new(Action::Response)
    };
    assert_eq!(data(&of_message(&capture, &failed, false))["error"], json!({ "message": "…", "code": 5 }));
    // What is too long to be parsed may contain one.
    let long = format!(r#"[{{"password":"s3cret","text":"{}"}}]"#, "x".repeat(300));
    let record = of_message(&capture, &request(Payload::from_json(long.clone()).unwrap()), false);
    assert!(!format!("{record:?}").contains("s3cret") && record.cut.is_some(), "{record:?}");
    let args = Payload::from_json(long).unwrap();
    let event = Observation::Event { emitter: "p", event: "e", args: &args, listeners: 0 };
    let record = capture.record(&event).unwrap();
    assert!(record.data.is_none() && record.cut.is_some(), "{record:?}");
}
