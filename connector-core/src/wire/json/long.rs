//! Long texts: finds the ends of their strings many bytes at a time, where serde_json checks eight.

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, SeqAccess, Visitor};
use serde_json::Error;

use super::Reader;
use super::plain::plain_blocks;
use super::read::plain_length;
use crate::wire::DecodeError;

// PERF: docs/performance.md, "ends of strings found by serde_json".
/// The bytes of a text that is long. For a shorter one, serde_json is as fast.
pub(super) const LONG: usize = 1 << 10;

/// How many elements of an array that are neither strings nor integers are skipped one by one. serde_json skips more of them faster
/// together.
const FEW: usize = 8;

/// Number of leading bytes checked eight at a time: most strings are shorter.
const NEAR: usize = 64;

/// Deserializes valid JSON.
pub(crate) fn deserialize<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Error> {
    if text.len() >= LONG {
        return deserialize_long(text, |value| T::deserialize(value));
    }
    serde_json::from_str(text)
}

/// The arguments of a call, from valid JSON: an array of few elements, some of which may be long strings.
pub(crate) fn deserialize_arguments<'a, V: Visitor<'a>>(text: &'a str, visitor: V) -> Result<V::Value, Error> {
    if text.len() >= LONG {
        return deserialize_long(text, |value| value.array(visitor));
    }
    serde_json::Deserializer::from_str(text).deserialize_seq(visitor)
}

// Inlined, it would keep its callers from being inlined.
#[inline(never)]
fn deserialize_long<'a, T>(
    text: &'a str,
    read: impl FnOnce(LongValue<'_, 'a>) -> Result<T, Error>,
) -> Result<T, Error> {
    read(LongValue(&mut Reader::new(text)))
}

impl<'a> Reader<'a> {
    /// Skips a value. Fast for long strings, and for arrays that contain some.
    pub(super) fn skip_long(&mut self) -> Result<(), DecodeError> {
        if self.peek() != Some(b'[') {
            return if self.skip_string() { Ok(()) } else { self.skip_by_serde_json() };
        }
        let start = self.clone();
        self.advance(1);
        if self.takes(b']') {
            return Ok(());
        }
        let mut others = 0;
        loop {
            if !self.skip_string_or_integer() {
                others += 1;
                if others > FEW {
                    *self = start;
                    return self.skip_by_serde_json();
                }
                self.skip_by_serde_json()?;
            }
            match () {
                () if self.takes(b',') => {}
                () if self.takes(b']') => return Ok(()),
                () => return Err(self.unexpected("`,` or `]`")),
            }
        }
    }

    fn skip_string_or_integer(&mut self) -> bool {
        self.skip_string() || self.integer().is_some()
    }

    fn skip_by_serde_json(&mut self) -> Result<(), DecodeError> {
        self.value::<IgnoredAny>().map(drop)
    }

    /// Skips the string at this position. Does nothing if there is none, or an invalid one.
    fn skip_string(&mut self) -> bool {
        if self.peek() != Some(b'"') {
            return false;
        }
        let bytes = self.rest().as_bytes();
        let mut at = 1;
        loop {
            at += match bytes[at..] {
                [b'"', ..] => break,
                [b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
                [b'\\', b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => 6,
                [b'\\' | ..0x20, ..] | [] => return false,
                _ => plain_length_long(&bytes[at..]),
            };
        }
        self.advance(at + 1);
        true
    }

    fn plain_long(&mut self) -> Option<&'a str> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let rest = &self.rest()[1..];
        let length = plain_length_long(rest.as_bytes());
        (rest.as_bytes().get(length) == Some(&b'"')).then(|| {
            self.advance(length + 2);
            &rest[..length]
        })
    }
}

fn plain_length_long(bytes: &[u8]) -> usize {
    let near = plain_length(&bytes[..bytes.len().min(NEAR)]);
    if near < NEAR {
        return near;
    }
    let start = NEAR + plain_blocks(&bytes[NEAR..]);
    start + plain_length(&bytes[start..])
}

/// The value at the reader's position. Strings without escapes, and the elements of a tuple, are read here, all others by
/// serde_json.
struct LongValue<'r, 'a>(&'r mut Reader<'a>);

impl<'a> LongValue<'_, 'a> {
    fn by_serde_json<T>(
        self,
        read: impl FnOnce(&mut serde_json::Deserializer<serde_json::de::StrRead<'a>>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut json = serde_json::Deserializer::from_str(self.0.rest());
        let value = read(&mut json)?;
        self.0.advance(json.into_iter::<IgnoredAny>().byte_offset());
        Ok(value)
    }

    fn array<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        if !self.0.takes(b'[') {
            return self.by_serde_json(|json| json.deserialize_seq(visitor));
        }
        let value = visitor.visit_seq(Elements { json: &mut *self.0, first: true })?;
        match self.0.takes(b']') {
            true => Ok(value),
            false => Err(Error::custom("trailing characters")),
        }
    }
}

macro_rules! strings {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0.plain_long() {
                Some(string) => visitor.visit_borrowed_str(string),
                None => self.by_serde_json(|json| json.$method(visitor)),
            }
        }
    )*};
}

macro_rules! others {
    ($($method:ident($($argument:ident: $Type:ty),*))*) => {$(
        fn $method<V: Visitor<'a>>(self $(, $argument: $Type)*, visitor: V) -> Result<V::Value, Error> {
            self.by_serde_json(|json| json.$method($($argument,)* visitor))
        }
    )*};
}

impl<'a> Deserializer<'a> for LongValue<'_, 'a> {
    type Error = Error;

    strings! { deserialize_any deserialize_str deserialize_string }

    fn deserialize_option<V: Visitor<'a>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0.peek() {
            Some(b'"') => visitor.visit_some(self),
            _ => self.by_serde_json(|json| json.deserialize_option(visitor)),
        }
    }

    fn deserialize_tuple<V: Visitor<'a>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.array(visitor)
    }

    others! {
        deserialize_bool() deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128() deserialize_f32()
        deserialize_f64() deserialize_char() deserialize_bytes() deserialize_byte_buf() deserialize_unit()
        deserialize_seq() deserialize_map() deserialize_identifier() deserialize_ignored_any()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_tuple_struct(name: &'static str, length: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }
}

struct Elements<'r, 'a> {
    json: &'r mut Reader<'a>,
    first: bool,
}

impl<'a> SeqAccess<'a> for Elements<'_, 'a> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'a>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if self.json.peek() == Some(b']') {
            return Ok(None);
        }
        if !std::mem::replace(&mut self.first, false) && !self.json.takes(b',') {
            return Err(Error::custom("expected `,` or `]`"));
        }
        seed.deserialize(LongValue(self.json)).map(Some)
    }
}

#[cfg(test)]
mod tests;
