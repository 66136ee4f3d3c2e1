use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::*;

fn fails<T: DeserializeOwned + fmt::Debug>(text: &str) -> String {
    without_position(&read::<T>(text).unwrap_err())
}

#[test]
fn whole_numbers_in_any_notation_are_integers() {
    for text in ["3", "3.0", "3.000", "3e0", "0.3e1", "30e-1", "3.0E+0", "300.0e-2", "0.003e3"] {
        assert_eq!(read::<i64>(text).unwrap(), 3, "{text}");
        assert_eq!(read::<u8>(text).unwrap(), 3, "{text}");
        assert_eq!(read::<i128>(text).unwrap(), 3, "{text}");
        assert_eq!(read::<u128>(text).unwrap(), 3, "{text}");
    }
    assert_eq!(read::<i64>("1e3").unwrap(), 1000);
    assert_eq!(read::<i8>("-1.28e2").unwrap(), -128);
    for zero in ["0.0", "-0.0", "0e99999999999999999999", "-0e5"] {
        assert_eq!((read::<i64>(zero).unwrap(), read::<u64>(zero).unwrap()), (0, 0), "{zero}");
    }
}

#[test]
fn integers_beyond_float_precision_are_exact() {
    assert_eq!(read::<i64>("9007199254740993.0").unwrap(), 9_007_199_254_740_993);
    assert_eq!(read::<u64>("1.8446744073709551615e19").unwrap(), u64::MAX);
    assert_eq!(read::<i64>("-9.223372036854775808e+18").unwrap(), i64::MIN);
    assert_eq!(read::<u128>("3.40282366920938463463374607431768211455e38").unwrap(), u128::MAX);
    assert_eq!(read::<i128>("-1e38").unwrap(), -10_i128.pow(38));
}

#[test]
fn fractions_and_out_of_range_numbers_are_rejected() {
    assert_eq!(fails::<i64>("3.5"), "invalid type: floating point `3.5`, expected i64");
    assert_eq!(fails::<i128>("3.5"), "invalid type: floating point `3.5`, expected i128");
    assert_eq!(fails::<u8>("256.0"), "invalid value: integer `256`, expected u8");
    assert_eq!(fails::<u64>("-1.0"), "invalid value: integer `-1`, expected u64");
    assert_eq!(fails::<i64>("1e300"), "invalid type: floating point `1e+300`, expected i64");
    assert_eq!(fails::<i64>("9223372036854775808.0"), "invalid value: integer `9223372036854775808`, expected i64");
    assert_eq!(fails::<u64>("18446744073709551616.0"), fails::<u64>("18446744073709551616"));
    for text in ["1e-1", "123456e-7", "1e-99999999999999999999", "0.30e0", "1e39", "1e99999999999999999999"] {
        read::<i128>(text).unwrap_err();
        read::<u64>(text).unwrap_err();
    }
    assert_eq!(fails::<(i64, i64)>(r#"[3.0, "x"]"#), r#"invalid type: string "x", expected i64"#);
    assert_eq!(fails::<(i64, i64)>("[3.0, null]"), "invalid type: null, expected i64");
    // A string that looks like a number is not one.
    assert_eq!(fails::<(i64, i64)>(r#"[3.0, "4.0"]"#), r#"invalid type: string "4.0", expected i64"#);
    assert!(fails::<Vec<i64>>("[3.0").starts_with("EOF"), "{}", fails::<Vec<i64>>("[3.0"));
}

#[derive(Debug, PartialEq, serde::Deserialize)]
struct Point {
    x: i32,
    y: Option<u16>,
    #[serde(default)]
    by_number: BTreeMap<u32, Vec<i8>>,
}

#[derive(Debug, PartialEq, serde::Deserialize)]
enum Shape {
    At(u64),
    Pair(i8, u8),
    Named { id: std::num::NonZeroU32 },
    Nothing,
}

#[test]
fn integers_may_be_nested_anywhere() {
    let point = Point { x: 1, y: Some(2), by_number: [(3, vec![4, 5])].into() };
    assert_eq!(read::<Point>(r#"{"x":1.0,"y":2e0,"by_number":{"3.0":[4,5.0]}}"#).unwrap(), point);
    assert_eq!(read::<HashMap<String, i64>>(r#"{"a":1.0,"b":2}"#).unwrap()["a"], 1);
    assert_eq!(read::<(f64, i64)>("[1.0,2.0]").unwrap(), (1.0, 2));
    assert_eq!(read::<Option<i64>>("1.0").unwrap(), Some(1));
    assert_eq!(read::<Option<(i64, Option<i64>)>>("[1.0,null]").unwrap(), Some((1, None)));
    let shapes = r#"[{"At":1.0},{"Pair":[1.0,2.0]},{"Named":{"id":3.0}},"Nothing"]"#;
    let expected = [Shape::At(1), Shape::Pair(1, 2), Shape::Named { id: 3.try_into().unwrap() }, Shape::Nothing];
    assert_eq!(read::<Vec<Shape>>(shapes).unwrap(), expected);
    assert_eq!(read::<std::time::Duration>(r#"{"secs":1.0,"nanos":5.0}"#).unwrap().as_secs(), 1);
}

#[test]
fn integers_work_in_buffered_types() {
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(untagged)]
    enum Names {
        One(u32),
        Several(Vec<u32>),
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        Moved { x: i64 },
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Outer {
        a: i64,
        #[serde(flatten)]
        inner: Inner,
    }
    #[derive(Debug, PartialEq, serde::Deserialize)]
    struct Inner {
        b: i64,
    }
    assert_eq!(read::<Names>("3.0").unwrap(), Names::One(3));
    assert_eq!(read::<Names>("[3.0,4]").unwrap(), Names::Several(vec![3, 4]));
    assert_eq!(read::<Tagged>(r#"{"x":-3.0,"kind":"Moved"}"#).unwrap(), Tagged::Moved { x: -3 });
    assert_eq!(read::<Outer>(r#"{"a":1.0,"b":2.0}"#).unwrap(), Outer { a: 1, inner: Inner { b: 2 } });
    assert!(fails::<Outer>(r#"{"a":1.0,"b":2.5}"#).contains("2.5"));
    // This float does not identify an integer.
    read::<Names>("9007199254740993.0").unwrap_err();
}

#[test]
fn untyped_values_keep_their_notation() {
    let (n, value, raw) = read::<(i64, Value, Box<RawValue>)>("[1.0, {\"x\":2.0}, [3.0 ,4e0]]").unwrap();
    assert_eq!((n, value, raw.get()), (1, json!({"x": 2.0}), "[3.0 ,4e0]"));
    assert_eq!(read::<Value>("3.0").unwrap(), json!(3.0));
}

#[test]
fn the_recursion_limit_applies_to_the_second_attempt() {
    let deep = format!("[3.0,{}{}]", "[".repeat(100_000), "]".repeat(100_000));
    assert!(fails::<(i64, Value)>(&deep).contains("recursion limit"), "{}", fails::<(i64, Value)>(&deep));
}
