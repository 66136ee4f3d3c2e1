//! Typed deserialization that accepts any notation of whole numbers.
//!
//! JavaScript and Python may write a whole number as `3.0` or `1e+18`, which serde_json does not accept as an integer.
//! Text is first read normally, so the common case costs nothing extra. If that fails and the text contains such a
//! number, it is read again with a deserializer that accepts these notations for integers.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde_json::Error;
use serde_json::value::RawValue;

use super::long;

/// Reads `text` as a `T`.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    long::deserialize(text).or_else(|plain| read_again(text, plain, PhantomData::<T>))
}

/// Second attempt, for text that failed to deserialize with the error `plain`.
///
/// Types that buffer a value before they know its type (untagged enums, flattened fields, trailing tags) do not ask for
/// an integer. There, whole numbers are converted only if the text does not fit otherwise: converting always would turn
/// a `1.0` in a neighbouring [`serde_json::Value`] into `1`.
#[cold]
#[inline(never)]
pub(crate) fn read_again<T>(
    text: &str,
    plain: Error,
    seed: impl for<'de> DeserializeSeed<'de, Value = T> + Copy,
) -> Result<T, Error> {
    if !has_fraction_or_exponent(text) {
        return Err(plain);
    }
    let read = |anywhere| {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let value = seed.deserialize(Whole { inner: &mut deserializer, anywhere, key: false })?;
        deserializer.end().map(|()| value)
    };
    read(false).or_else(|error| read(true).map_err(|_| error))
}

/// The error text without the position, which is useless without the input.
pub(crate) fn without_position(error: &impl fmt::Display) -> String {
    let mut text = error.to_string();
    if let Some(at) = text.rfind(" at line ") {
        text.truncate(at);
    }
    text
}

fn has_fraction_or_exponent(text: &str) -> bool {
    text.as_bytes().windows(2).any(|pair| pair[0].is_ascii_digit() && matches!(pair[1], b'.' | b'e' | b'E'))
}

/// More digits than the widest integer has.
const TOO_LONG: usize = 40;

/// The digits of a JSON number if it is whole and not longer than any integer: `30` for `3.0e1`. Exact, with no
/// conversion through floats.
fn digits(number: &str) -> Option<String> {
    let (sign, number) = number.strip_prefix('-').map_or(("", number), |number| ("-", number));
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if !whole.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let mut digits = format!("{whole}{fraction}");
    // The number of zeros after these digits or, if negative, the number of digits after the decimal point.
    let shift = exponent.parse::<i64>().ok().map(|exponent| exponent.saturating_sub_unsigned(fraction.len() as u64));
    match shift {
        _ if digits.bytes().all(|digit| digit == b'0') => return Some("0".to_owned()),
        Some(zeros @ 0..) => digits.extend(std::iter::repeat_n('0', usize::try_from(zeros).ok()?.min(TOO_LONG))),
        Some(behind) => {
            let point = digits.len().checked_sub(usize::try_from(behind.unsigned_abs()).ok()?)?;
            if digits[point..].bytes().any(|digit| digit != b'0') {
                return None;
            }
            digits.truncate(point);
        }
        None => return None,
    }
    let digits = digits.trim_start_matches('0');
    (digits.len() < TOO_LONG).then(|| format!("{sign}{digits}"))
}

/// Wraps a deserializer, visitor, seed or access so that whole numbers are read as integers.
#[derive(Clone, Copy)]
struct Whole<T> {
    inner: T,
    /// Whether to convert even where no specific type is requested.
    anywhere: bool,
    /// Whether this is an object key, where numbers are quoted.
    key: bool,
}

impl<T> Whole<T> {
    fn around<U>(&self, inner: U) -> Whole<U> {
        Whole { inner, anywhere: self.anywhere, key: false }
    }
}

macro_rules! integers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            let text = <&RawValue>::deserialize(self.inner)?.get();
            let number = if self.key { text.trim_matches('"') } else { text };
            let read = match digits(number) {
                // `from_reader`, because the text does not live as long as the value.
                Some(digits) => serde_json::Deserializer::from_reader(digits.as_bytes()).$method(visitor),
                // The visitor reports the error.
                None => serde_json::Deserializer::from_str(text).deserialize_any(visitor),
            };
            read.map_err(|error| D::Error::custom(without_position(&error)))
        }
    )*};
}

macro_rules! forwarded {
    ($A:ident: $($method:ident($($name:ident: $Type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self $(, $name: $Type)*, visitor: V) -> Result<V::Value, $A::Error> {
            let visitor = self.around(visitor);
            self.inner.$method($($name,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Whole<D> {
    type Error = D::Error;

    integers! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
    }

    forwarded! { D:
        deserialize_any() deserialize_bool() deserialize_f32() deserialize_f64() deserialize_char() deserialize_str()
        deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_option() deserialize_unit()
        deserialize_seq() deserialize_map() deserialize_identifier() deserialize_ignored_any()
        deserialize_unit_struct(name: &'static str)
        deserialize_newtype_struct(name: &'static str)
        deserialize_tuple(len: usize)
        deserialize_tuple_struct(name: &'static str, len: usize)
        deserialize_struct(name: &'static str, fields: &'static [&'static str])
        deserialize_enum(name: &'static str, variants: &'static [&'static str])
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// Beyond this, a float no longer identifies an integer exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;

macro_rules! visited {
    ($($method:ident $Type:ty;)*) => {$(
        fn $method<E: serde::de::Error>(self, value: $Type) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

macro_rules! nested {
    ($($method:ident $Access:ident;)*) => {$(
        fn $method<A: $Access<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
            let inner = self.around(inner);
            self.inner.$method(inner)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Whole<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    visited! {
        visit_bool bool; visit_char char; visit_f32 f32;
        visit_i8 i8; visit_i16 i16; visit_i32 i32; visit_i64 i64; visit_i128 i128;
        visit_u8 u8; visit_u16 u16; visit_u32 u32; visit_u64 u64; visit_u128 u128;
        visit_str &str; visit_borrowed_str &'de str; visit_string String;
        visit_bytes &[u8]; visit_borrowed_bytes &'de [u8]; visit_byte_buf Vec<u8>;
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<V::Value, E> {
        match self.anywhere && value.fract() == 0.0 && value.abs() < EXACT {
            true if value < 0.0 => self.inner.visit_i64(value as i64),
            true => self.inner.visit_u64(value as u64),
            false => self.inner.visit_f64(value),
        }
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    nested! {
        visit_some Deserializer; visit_newtype_struct Deserializer;
        visit_seq SeqAccess; visit_map MapAccess; visit_enum EnumAccess;
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Whole<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        let inner = Whole { inner, anywhere: self.anywhere, key: self.key };
        self.inner.deserialize(inner)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Whole<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let seed = self.around(seed);
        self.inner.next_element_seed(seed)
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Whole<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let seed = Whole { inner: seed, anywhere: self.anywhere, key: true };
        self.inner.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.around(seed);
        self.inner.next_value_seed(seed)
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Whole<A> {
    type Error = A::Error;
    type Variant = Whole<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Whole<A::Variant>), A::Error> {
        let anywhere = self.anywhere;
        let (value, inner) = self.inner.variant_seed(seed)?;
        Ok((value, Whole { inner, anywhere, key: false }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Whole<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        let seed = self.around(seed);
        self.inner.newtype_variant_seed(seed)
    }

    forwarded! { A: tuple_variant(len: usize) struct_variant(fields: &'static [&'static str]) }
}

#[cfg(test)]
mod tests;
