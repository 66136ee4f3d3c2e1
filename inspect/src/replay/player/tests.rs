use std::path::Path;

use super::super::compare::shown;
use super::*;
use crate::recording::Line;

/// Steps of the engine's end: `>` is sent, `<` is received.
fn steps(lines: &[&str]) -> Session {
    let step = |(index, line): (usize, &&str)| {
        let (way, json) = line.split_at(1);
        let line = Line { file: Path::new("r").into(), number: index as u64 + 2 };
        Step { line, at: index as u64, sends: way == ">", message: message(json) }
    };
    lines.iter().enumerate().map(step).collect()
}

fn message(json: &str) -> Message {
    Message::decode_copied(json.as_bytes()).unwrap()
}

fn request(id: &str, key: &str, args: &str) -> String {
    format!(r#"{{"action":"request","id":{id},"name":"p","key":"{key}","payload":[{args}]}}"#)
}

fn response(id: &str, key: &str, result: &str) -> String {
    format!(r#"{{"action":"response","id":{id},"name":"p","key":"{key}","payload":{result}}}"#)
}

struct Test(Player);

impl Test {
    fn new(end: End, lines: &[String]) -> Test {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        Test(Player::new(end, steps(&lines), false))
    }

    #[track_caller]
    fn sends(&mut self, json: &str) {
        assert!(matches!(self.0.next(), Next::Send { .. }), "{:?}", self.0.next());
        assert_eq!(shown(&self.0.transmit().unwrap()), json);
    }

    #[track_caller]
    fn waits(&mut self) {
        assert!(matches!(self.0.next(), Next::Wait { .. }), "{:?}", self.0.next());
    }

    fn receive(&mut self, json: &str) {
        self.0.receive(&message(json));
    }

    #[track_caller]
    fn differences(mut self, expected: &[&str]) {
        assert_eq!(self.0.next(), Next::Done);
        let report = self.0.end(None);
        let found: Vec<String> = report.differences.iter().map(Difference::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found}: {expected}");
        }
    }
}

#[test]
fn each_message_waits_for_those_recorded_before_it() {
    let (one, two) = (request("0", "add", "1"), request("1", "add", "2"));
    let (first, second) = (response("0", "add", "1"), response("1", "add", "2"));
    let lines = [format!(">{one}"), format!("<{first}"), format!(">{two}"), format!("<{second}")];
    let mut test = Test::new(End::Engine, &lines);
    test.sends(&one);
    test.waits();
    test.receive(&first);
    test.sends(&two);
    test.receive(&second);
    test.differences(&[]);
}

#[test]
fn answers_may_arrive_in_another_sequence() {
    let (one, two) = (request("0", "add", "1"), request("1", "add", "2"));
    let (first, second) = (response("0", "add", "1"), response("1", "add", "2"));
    let lines = [format!(">{one}"), format!(">{two}"), format!("<{first}"), format!("<{second}")];
    let mut test = Test::new(End::Engine, &lines);
    test.sends(&one);
    test.sends(&two);
    test.receive(&second);
    test.waits();
    test.receive(&first);
    test.differences(&[]);
}

#[test]
fn the_ids_of_the_other_end_are_its_own() {
    let lines = [
        format!("<{}", request("1", "ask", "1")),
        format!("<{}", request("2", "ask", "2")),
        format!(">{}", response("2", "ask", "\"two\"")),
        format!(">{}", response("1", "ask", "\"one\"")),
        r#"<{"action":"cancel","id":2}"#.to_owned(),
    ];
    let mut test = Test::new(End::Engine, &lines);
    test.receive(&request("\"x\"", "ask", "2"));
    test.receive(&request("\"y\"", "ask", "1"));
    test.sends(&response("\"x\"", "ask", "\"two\""));
    test.sends(&response("\"y\"", "ask", "\"one\""));
    test.receive(r#"{"action":"cancel","id":"x"}"#);
    test.differences(&[]);
}

#[test]
fn differences_name_the_line_and_both_messages() {
    let lines = [
        format!(">{}", request("0", "add", "1")),
        format!("<{}", response("0", "add", "1")),
        r#"<{"action":"emit","key":"added","payload":[1]}"#.to_owned(),
        format!("<{}", request("1", "ask", "1")),
        format!(">{}", response("1", "ask", "1")),
    ];
    let mut test = Test::new(End::Engine, &lines);
    test.sends(&request("0", "add", "1"));
    test.receive(&response("0", "add", "2"));
    test.receive(&request("5", "other", "1"));
    test.sends(r#"{"action":"response","id":5,"name":"p","key":"other","error":"the recording has no such call at this point"}"#);
    test.waits();
    test.0.give_up();
    test.waits();
    test.0.give_up();
    test.differences(&[
        "p.add(1): expected 1, got 2 (r, line 3)",
        "call p.other: [1] is not recorded",
        "event added: expected [1], which did not arrive (r, line 4)",
        "call p.ask: expected [1], which did not arrive (r, line 5)",
    ]);
}

#[test]
fn a_link_that_ends_early_is_one_difference() {
    let lines = [format!(">{}", request("0", "add", "1")), format!("<{}", response("0", "add", "1"))];
    let test = Test::new(End::Engine, &lines);
    let report = test.0.end(Some(&LinkEnd::Disconnected));
    assert_eq!(report.differences.len(), 1);
    let text = report.differences[0].to_string();
    assert!(text.contains("closed by this end; 2 recorded messages"), "{text}");
}

#[test]
fn prompts_and_repeated_handshakes_are_answered() {
    let handshake = r#"{"action":"request","id":-2,"name":"p","key":"handshake","payload":["p",null]}"#;
    let methods = r#"{"action":"response","id":-2,"name":"p","key":"handshake","payload":["add"]}"#;
    let mut engine = Test::new(End::Engine, &[format!(">{handshake}"), format!("<{methods}")]);
    engine.sends(handshake);
    engine.receive(r#"{"action":"request","id":-1,"key":"handshake"}"#);
    engine.sends(&handshake.replace("-2", "-3"));
    engine.receive(&methods.replace("-2", "-3"));
    engine.waits();
    engine.receive(methods);
    engine.differences(&[]);
    let mut plugin = Test::new(End::Plugin, &[format!("<{handshake}"), format!(">{methods}")]);
    plugin.receive(&handshake.replace("-2", "0"));
    plugin.sends(&methods.replace("-2", "0"));
    plugin.receive(&handshake.replace("-2", "1"));
    plugin.sends(&methods.replace("-2", "1"));
    plugin.differences(&[]);
}
