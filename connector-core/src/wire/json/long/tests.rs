use std::collections::HashMap;
use std::fmt::Debug;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::*;
use crate::Payload;
use crate::wire::json::strategy::nested;

#[derive(Debug, PartialEq, Deserialize)]
struct Newtype(String);
#[derive(Debug, PartialEq, Deserialize)]
struct Pair(String, Option<Newtype>);
#[derive(Debug, PartialEq, Deserialize)]
enum Choice {
    Unit,
    Text(String),
}
#[derive(Debug, PartialEq, Deserialize)]
#[serde(untagged)]
enum Either {
    Text(String),
    Number(i64),
    Rest(Value),
}

fn same<T: DeserializeOwned + Debug>(text: &str) {
    let shown = |read: Result<T, Error>| read.map(|value| format!("{value:?}")).ok();
    assert_eq!(shown(deserialize(text)), shown(serde_json::from_str(text)), "{text}");
}

fn same_as_every_type(text: &str) {
    same::<String>(text);
    same::<Option<String>>(text);
    same::<char>(text);
    same::<u64>(text);
    same::<()>(text);
    same::<Newtype>(text);
    same::<Choice>(text);
    same::<Either>(text);
    same::<Value>(text);
    same::<Box<RawValue>>(text);
    same::<Payload>(text);
    same::<Vec<String>>(text);
    same::<HashMap<String, Value>>(text);
    same::<(String,)>(text);
    same::<(String, Option<String>)>(text);
    same::<(Option<Newtype>, Value)>(text);
    same::<(Either, Choice, Payload)>(text);
    same::<(Value, (String, i8), Vec<Either>)>(text);
    same::<Pair>(text);
    same::<[Value; 2]>(text);
}

fn long() -> String {
    "long ".repeat(LONG / 4)
}

#[test]
fn every_type_is_read_from_a_long_text_as_serde_json_reads_it() {
    let long = long();
    for (before, after) in
        [("", ""), (" ", " "), ("\\n", ""), ("", "\\u00e9"), ("\\ud83e\\udd80", "\u{1f980}"), ("\\ud83e", "")]
    {
        let string = format!("\"{before}{long}{after}\"");
        same_as_every_type(&string);
        for others in ["", ",null", ",\"x\"", ", [\"a\", 1] , []", ",\"Unit\",1.5", ",{\"Text\":\"t\"},{}", ",5,[7]"] {
            same_as_every_type(&format!("[{string}{others}]"));
            same_as_every_type(&format!(" [ {string}{others} ] "));
        }
        for others in ["null", "\"x\"", "[\"a\",1]", "\"Unit\"", "{\"Text\":\"t\"}", "5"] {
            same_as_every_type(&format!("[{others},{string}]"));
        }
        same_as_every_type(&format!("{{\"Text\":{string}}}"));
    }
}

/// What is left after the value, or `None` if the text is not JSON.
fn skipped(text: &str) -> Option<(&str, &str)> {
    let mut reader = Reader::new(text);
    assert!(text.len() >= LONG);
    let value = reader.raw().ok()?;
    Some((value, reader.rest()))
}

fn skipped_by_serde_json(text: &str) -> Option<(&str, &str)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    let value = values.next()?.ok()?.get();
    Some((value, &text[values.byte_offset()..]))
}

#[test]
fn strings_end_where_serde_json_ends_them() {
    for odd in [
        "", "\"", "\\", "\\\"", "\\\\", "\\/", "\\x", "\\u12", "\\u12g4", "\\u12a4", "\n", "\u{1f}", "\u{7f}", "ü",
        "\\\\\\\"",
    ] {
        for before in (0..10).chain(60..70).chain(120..200) {
            let text = format!(" \"{}{odd}{}\" , {}", "a".repeat(before), "b".repeat(70), " ".repeat(LONG));
            assert_eq!(skipped(&text), skipped_by_serde_json(&text), "{text:?}");
        }
    }
}

#[test]
fn arrays_of_many_other_values_end_where_serde_json_ends_them() {
    for count in [FEW - 1, FEW, FEW + 1, 3 * FEW] {
        for element in ["1.5", "{\"a\":[1]}", "[]", "null,\"x\",7", "{\"a\":]", "1.5 2"] {
            let elements = vec![element; count].join(" , ");
            let text = format!(" [\"a\", {elements}] , {}", " ".repeat(LONG));
            assert_eq!(skipped(&text), skipped_by_serde_json(&text), "{text:?}");
        }
    }
}

proptest! {
    #[test]
    fn values_end_where_serde_json_ends_them(value in nested(".*".prop_map(Value::from)), cut in 0..200_usize, odd in "[\\[\\]{},:\"\\\\ 0a]?") {
        let mut text = format!("{value} ,{}", " ".repeat(LONG));
        let at = text.floor_char_boundary(cut);
        text.insert_str(at, &odd);
        let expected = skipped_by_serde_json(&text);
        // serde_json looks at what follows a number, and this reader's caller does.
        prop_assert!(skipped(&text) == expected || expected.is_none() && value.is_number(), "{text}");
    }

    #[test]
    fn long_values_are_read_as_serde_json_reads_them(value in nested(prop_oneof![".*".prop_map(Value::from), any::<i64>().prop_map(Value::from)])) {
        same_as_every_type(&format!("[{value},{:?}]", long()));
        same_as_every_type(&format!("[{:?},{value}]", long()));
    }
}
