use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde_json::json;
use serde_json::value::RawValue;

use super::*;
use crate::wire::json::strategy::nested;

fn written(value: &(impl Serialize + ?Sized)) -> Result<String, String> {
    let mut out = vec![];
    write(&mut out, value).map_err(|error| error.to_string())?;
    Ok(String::from_utf8(out).unwrap())
}

fn same(value: &(impl Serialize + ?Sized)) {
    let expected = serde_json::to_string(value).map_err(|error| error.to_string());
    assert_eq!(written(value), expected);
}

#[derive(Serialize)]
struct Unit;
#[derive(Serialize)]
struct Newtype(&'static str);
#[derive(Serialize)]
struct Pair(u8, Option<&'static str>);
#[derive(Serialize)]
struct Named {
    a: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<u8>,
    c: Vec<Choice>,
    #[serde(flatten)]
    rest: BTreeMap<String, i32>,
}
#[derive(Serialize)]
enum Choice {
    Unit,
    Newtype(i32),
    Tuple(u8, char),
    Struct { x: bool, y: () },
}

#[test]
fn every_shape_is_written_as_serde_json_writes_it() {
    let choices =
        || vec![Choice::Unit, Choice::Newtype(-7), Choice::Tuple(1, '\u{1f980}'), Choice::Struct { x: true, y: () }];
    let rest = BTreeMap::from([("k\n".to_owned(), 1), ("l".to_owned(), 2)]);
    same(&Named { a: 1.0, b: None, c: choices(), rest });
    same(&(Unit, Newtype("a\"b"), Pair(1, None), Pair(2, Some("x")), ()));
    same(&(1e300, f64::NAN, f32::INFINITY, 0.1f32, -0.0, u64::MAX, i128::MIN, u128::MAX));
    same(&json!({"a": [1, null, {"b": []}], "c": {}, "d": [[], [{}]]}));
    same(&serde_json::value::to_raw_value(&json!({"as": [1, "is \" "]})).unwrap());
    same(&vec![RawValue::from_string("[ 1,  2 ]".to_owned()).unwrap()]);
    same(std::path::Path::new("/tmp/ü"));
    same(&std::time::Duration::from_millis(1500));
}

#[test]
fn keys_are_strings_or_become_some() {
    same(&HashMap::from([(1u8, "one")]));
    same(&HashMap::from([(-1i64, "one")]));
    same(&HashMap::from([(true, 1)]));
    same(&HashMap::from([('c', 1)]));
    same(&HashMap::from([(Some("s"), 1)]));
    same(&BTreeMap::from([("", 1)]));
    same(&HashMap::from([((), 1)]));
    same(&HashMap::from([(None::<u8>, 1)]));
    same(&HashMap::from([(vec![1], 1)]));
    same(&HashMap::from([((1, 2), 1)]));
}

#[test]
fn every_character_is_escaped_as_it_must_be_wherever_it_stands() {
    for code in (0..0x180).chain([0x2028, 0xfffd, 0x1f980]) {
        let odd = char::from_u32(code).unwrap();
        for before in [0, 1, 7, 31, 32, 33, 64] {
            same(&format!("{}{odd}{}", "x".repeat(before), "ü".repeat(40)));
        }
    }
}

fn json_value() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        "\\PC*|[\"\\\\\n\u{0}-\u{1f}]*".prop_map(serde_json::Value::from)
    ];
    nested(leaf)
}

proptest! {
    #[test]
    fn any_value_is_written_as_serde_json_writes_it(value in json_value()) {
        same(&value);
    }

    #[test]
    fn any_text_is_written_as_serde_json_writes_it(text in any::<String>()) {
        same(&text);
    }
}

#[test]
fn an_estimate_counts_texts_without_escapes_and_numbers_by_their_type() {
    assert_eq!(estimated_length("\0".repeat(1000).as_str()), 1002);
    assert_eq!(estimated_length(&vec![0.1_f64; 100]), "[]".len() + 99 * ",".len() + 100 * size_of::<f64>());
    assert_eq!(estimated_length(&BTreeMap::from([("key", 7_u8)])), "{\"key\":}".len() + 1);
    let (text, nothing) = (json!({ "a": [null, true, "b"] }), [(); 0]);
    assert_eq!(estimated_length(&text), text.to_string().len() - "true".len() + 1);
    assert_eq!(estimated_length(&nothing), "[]".len());
}
