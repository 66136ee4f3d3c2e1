//! JSON serialization. serde_json checks every byte of a string for escapes, which dominates the cost of long texts;
//! this writer checks many bytes at once.

mod output;

use serde::Serialize;
use serde::ser::{self, Serializer};
use serde_json::Error;

use self::output::{Counter, Output};
use super::plain::plain_blocks;

/// Appends `value` exactly as serde_json would write it.
///
/// # Errors
/// The value cannot be serialized. The caller must discard what has been appended.
pub(crate) fn write(out: &mut Vec<u8>, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
    write_to(out, value)
}

/// The length of the value's JSON, or of the part that can be serialized, estimated: a text counts without its escapes, and a
/// number as its type. Looks at no character of a text and formats no number, because every value that waits is measured.
pub(crate) fn estimated_length(value: &(impl Serialize + ?Sized)) -> usize {
    let mut counter = Counter::default();
    // A value that cannot be serialized is reported when it is sent.
    let _ = write_to(&mut counter, value);
    counter.bytes()
}

fn write_to(out: &mut impl Output, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
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

// PERF: docs/performance.md, "Codecs and queues": a text with many escapes -20 % instructions, a short one without +15 %.
/// Number of leading bytes checked one by one: if escapes are frequent, this is faster.
const ALONE: usize = 16;

/// The number of leading bytes that need no escape.
fn plain_length(bytes: &[u8]) -> usize {
    let first_special = |bytes: &[u8]| bytes.iter().position(|byte| ESCAPES[usize::from(*byte)] != 0);
    let (alone, others) = bytes.split_at(bytes.len().min(ALONE));
    if let Some(place) = first_special(alone) {
        return place;
    }
    let start = plain_blocks(others);
    let rest = &others[start..];
    alone.len() + start + first_special(rest).unwrap_or(rest.len())
}

struct Writer<'a, O> {
    out: &'a mut O,
    /// Whether strings are already JSON.
    verbatim: bool,
}

/// serde_json's own types pass raw JSON as a struct whose name has this prefix.
const VERBATIM: &str = "$serde_json::private::";

impl<'a, O: Output> Writer<'a, O> {
    /// Values that serde_json writes equally fast.
    fn scalar(self, value: impl Serialize) -> Result<(), Error> {
        self.out.scalar(&value)
    }

    fn list(self, end: &'static str) -> Opened<'a, O> {
        self.out.push(b'[');
        Ok(Members { out: self.out, first: true, verbatim: false, end })
    }

    fn object(self, end: &'static str) -> Opened<'a, O> {
        self.out.push(b'{');
        Ok(Members { out: self.out, first: true, verbatim: false, end })
    }

    /// Writes `{"variant":`; the caller closes it after the value.
    fn variant(self, variant: &str) -> Self {
        self.out.push(b'{');
        self.out.string(variant);
        self.out.push(b':');
        self
    }
}

macro_rules! scalars {
    ($($method:ident $T:ty;)*) => {$(
        fn $method(self, value: $T) -> Result<(), Error> {
            self.scalar(value)
        }
    )*};
}

impl<'a, O: Output> Serializer for Writer<'a, O> {
    type Ok = ();
    type Error = Error;
    type SerializeSeq = Members<'a, O>;
    type SerializeTuple = Members<'a, O>;
    type SerializeTupleStruct = Members<'a, O>;
    type SerializeTupleVariant = Members<'a, O>;
    type SerializeMap = Members<'a, O>;
    type SerializeStruct = Members<'a, O>;
    type SerializeStructVariant = Members<'a, O>;

    scalars! {
        serialize_bool bool; serialize_char char; serialize_f32 f32; serialize_f64 f64;
        serialize_i8 i8; serialize_i16 i16; serialize_i32 i32; serialize_i64 i64; serialize_i128 i128;
        serialize_u8 u8; serialize_u16 u16; serialize_u32 u32; serialize_u64 u64; serialize_u128 u128;
    }

    fn serialize_str(self, text: &str) -> Result<(), Error> {
        match self.verbatim {
            true => self.out.extend(text.as_bytes()),
            false => self.out.string(text),
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
        self.out.extend(b"null");
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
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Error> {
        let out = self.variant(variant).out;
        write_to(&mut *out, value)?;
        out.push(b'}');
        Ok(())
    }

    fn serialize_seq(self, _: Option<usize>) -> Opened<'a, O> {
        self.list("]")
    }

    fn serialize_tuple(self, _: usize) -> Opened<'a, O> {
        self.list("]")
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Opened<'a, O> {
        self.list("]")
    }

    fn serialize_tuple_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Opened<'a, O> {
        self.variant(variant).list("]}")
    }

    fn serialize_map(self, _: Option<usize>) -> Opened<'a, O> {
        self.object("}")
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Opened<'a, O> {
        match name.starts_with(VERBATIM) {
            true => Ok(Members { out: self.out, first: true, verbatim: true, end: "" }),
            false => self.object("}"),
        }
    }

    fn serialize_struct_variant(self, _: &'static str, _: u32, variant: &'static str, _: usize) -> Opened<'a, O> {
        self.variant(variant).object("}}")
    }
}

/// A list or an object whose members follow.
type Opened<'a, O> = Result<Members<'a, O>, Error>;

/// The members of a list or an object.
struct Members<'a, O> {
    out: &'a mut O,
    first: bool,
    verbatim: bool,
    end: &'static str,
}

impl<O: Output> Members<'_, O> {
    fn next(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(b',');
        }
    }

    fn element(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.next();
        write_to(self.out, value)
    }

    fn key(&mut self, key: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.next();
        self.out.key(key)
    }

    fn value(&mut self, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        self.out.push(b':');
        write_to(self.out, value)
    }

    fn field(&mut self, key: &'static str, value: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        if self.verbatim {
            return value.serialize(Writer { out: self.out, verbatim: true });
        }
        self.next();
        self.out.string(key);
        self.value(value)
    }

    fn finish(self) -> Result<(), Error> {
        self.out.extend(self.end.as_bytes());
        Ok(())
    }
}

macro_rules! members {
    ($($Trait:ident { $($method:ident($($key:ident: $Key:ty)?) = $own:ident;)* })*) => {$(
        impl<O: Output> ser::$Trait for Members<'_, O> {
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
mod tests;
