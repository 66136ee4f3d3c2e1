//! JSON serialization. serde_json checks every byte of a string for escapes, which dominates the cost of long texts;
//! this writer checks many bytes at once.

use serde::Serialize;
use serde::ser::{self, Error as _, Serializer};
use serde_json::Error;

/// Appends `value` exactly as serde_json would write it.
///
/// # Errors
/// The value cannot be serialized. The caller must discard what has been appended.
pub(crate) fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    value.serialize(Writer { out, verbatim: false })
}

/// Appends a quoted string.
pub(crate) fn write_str(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 2);
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, others) = rest.split_at(plain_length(rest));
        out.extend_from_slice(plain);
        let Some((byte, others)) = others.split_first() else { break };
        match ESCAPES[usize::from(*byte)] {
            b'u' => {
                let hex = |half: u8| b"0123456789abcdef"[usize::from(half)];
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte & 15)]);
            }
            letter => out.extend_from_slice(&[b'\\', letter]),
        }
        rest = others;
    }
    out.push(b'"');
}

/// The character after the backslash, by byte; 0 for bytes that need no escape.
const ESCAPES: [u8; 256] = {
    let mut escapes = [0; 256];
    let mut control = 0;
    while control < 0x20 {
        escapes[control] = b'u';
        control += 1;
    }
    escapes[0x08] = b'b';
    escapes[0x09] = b't';
    escapes[0x0a] = b'n';
    escapes[0x0c] = b'f';
    escapes[0x0d] = b'r';
    escapes[0x22] = b'"';
    escapes[0x5c] = b'\\';
    escapes
};

/// Number of bytes checked together, in a branch-free loop that compilers vectorize.
const TOGETHER: usize = 32;
/// Number of leading bytes checked one by one: if escapes are frequent, this is faster.
const ALONE: usize = 16;

/// The number of leading bytes that need no escape.
fn plain_length(bytes: &[u8]) -> usize {
    let first_special = |bytes: &[u8]| bytes.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0);
    let (alone, others) = bytes.split_at(bytes.len().min(ALONE));
    if let Some(place) = first_special(alone) {
        return place;
    }
    let special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    let plain = |together: &&[u8; TOGETHER]| !together.iter().fold(false, |any, byte| any | special(*byte));
    let start = others.as_chunks().0.iter().take_while(plain).count() * TOGETHER;
    let rest = &others[start..];
    alone.len() + start + first_special(rest).unwrap_or(rest.len())
}

struct Writer<'a> {
    out: &'a mut Vec<u8>,
    /// Whether strings are already JSON.
    verbatim: bool,
}

/// serde_json's own types pass raw JSON as a struct whose name has this prefix.
const VERBATIM: &str = "$serde_json::private::";

impl<'a> Writer<'a> {
    /// Values that serde_json writes equally fast.
    fn scalar(self, value: impl Serialize) -> Result<(), Error> {
        serde_json::to_writer(self.out, &value)
    }

    fn list(self, end: &'static str) -> Result<Members<'a>, Error> {
        self.out.push(b'[');
        Ok(Members { out: self.out, first: true, verbatim: false, end })
    }

    fn object(self, end: &'static str) -> Result<Members<'a>, Error> {
        self.out.push(b'{');
        Ok(Members { out: self.out, first: true, verbatim: false, end })
    }

    /// Writes `{"variant":`; the caller closes it after the value.
    fn variant(&mut self, variant: &str) {
        self.out.push(b'{');
        write_str(self.out, variant);
        self.out.push(b':');
    }
}

macro_rules! scalars {
    ($($method:ident $T:ty;)*) => {$(
        fn $method(self, value: $T) -> Result<(), Error> {
            self.scalar(value)
        }
    )*};
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Members<'a>;
    type SerializeTuple = Members<'a>;
    type SerializeTupleStruct = Members<'a>;
    type SerializeTupleVariant = Members<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    scalars! {
        serialize_bool bool; serialize_char char; serialize_f32 f32; serialize_f64 f64;
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        match self.verbatim {
            true => self.out.extend_from_slice(text.as_bytes()),
            false => write_str(self.out, text),
        }
        Ok(())
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result<(), Error> {
        self.collect_seq(bytes)
    }

    fn serialize_none(self) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Error> {
        self.out.extend_from_slice(b"null");
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Error> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Error> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Error> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        self.variant(variant);
        write(self.out, value)?;
        self.out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Members<'a>, Error> {
        self.list("]")
    }

    fn serialize_tuple(self, _: usize) -> Result<Members<'a>, Error> {
        self.list("]")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Members<'a>, Error> {
        self.list("]")
    }

    fn serialize_tuple_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Error> {
        self.variant(variant);
        self.list("]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, Error> {
        self.object("}")
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Members<'a>, Error> {
        match name.starts_with(VERBATIM) {
            true => Ok(Members { out: self.out, first: true, verbatim: true, end: "" }),
            false => self.object("}"),
        }
    }

    fn serialize_struct_variant(
        mut self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Error> {
        self.variant(variant);
        self.object("}}")
    }
}

/// The members of a list or an object.
struct Members<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
    verbatim: bool,
    end: &'static str,
}

impl Members<'_> {
    fn next(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
    }

    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.next();
        write(self.out, value)
    }

    fn key(&mut self, key: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.next();
        let start = self.out.len();
        write(self.out, key)?;
        match self.out.get(start) {
            Some(b'"') => return Ok(()),
            // Numbers and booleans become quoted keys.
            Some(b'0'..=b'9' | b'-' | b't' | b'f') => {}
            _ => return Err(Error::custom("key must be a string")),
        }
        self.out.insert(start, b'"');
        self.out.push(b'"');
        Ok(())
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.out.push(b':');
        write(self.out, value)
    }

    fn field(&mut self, key: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        if self.verbatim {
            return value.serialize(Writer { out: self.out, verbatim: true });
        }
        self.next();
        write_str(self.out, key);
        self.value(value)
    }

    fn finish(self) -> Result<(), Error> {
        self.out.extend_from_slice(self.end.as_bytes());
        Ok(())
    }
}

macro_rules! members {
    ($($Trait:ident { $($method:ident($($key:ident: $Key:ty)?) = $own:ident;)* })*) => {$(
        impl ser::$Trait for Members<'_> {
            type Ok = ();
            type Error = Error;

            $(fn $method<T: Serialize + ?Sized>(&mut self, $($key: $Key,)? value: &T) -> Result<(), Error> {
                self.$own($($key,)? value)
            })*

            fn end(self) -> Result<(), Error> {
                self.finish()
            }
        }
    )*};
}
members! {
    SerializeSeq { serialize_element() = element; }
    SerializeTuple { serialize_element() = element; }
    SerializeTupleStruct { serialize_field() = element; }
    SerializeTupleVariant { serialize_field() = element; }
    SerializeMap { serialize_key() = key; serialize_value() = value; }
    SerializeStruct { serialize_field(key: &'static str) = field; }
    SerializeStructVariant { serialize_field(key: &'static str) = field; }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap};

    use proptest::prelude::*;
    use serde_json::json;
    use serde_json::value::RawValue;

    use super::*;

    fn written(value: &(impl Serialize + ?Sized)) -> Result<String, String> {
        let mut out = vec![];
        write(&mut out, value).map_err(|error| error.to_string())?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn same(value: &(impl Serialize + ?Sized)) {
        assert_eq!(written(value), serde_json::to_string(value).map_err(|error| error.to_string()));
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
        let choices = || {
            vec![Choice::Unit, Choice::Newtype(-7), Choice::Tuple(1, '\u{1f980}'), Choice::Struct { x: true, y: () }]
        };
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
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(".*", inner, 0..4)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_value_is_written_as_serde_json_writes_it(value in json_value()) {
            prop_assert_eq!(written(&value).unwrap(), serde_json::to_string(&value).unwrap());
        }

        #[test]
        fn any_text_is_written_as_serde_json_writes_it(text in any::<String>()) {
            prop_assert_eq!(written(&text).unwrap(), serde_json::to_string(&text).unwrap());
        }
    }
}
