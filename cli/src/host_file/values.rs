//! Values of a host file that have a form of their own.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

/// A time with its unit, such as `"500ms"` or `"10s"`; `"never"` for one that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Time(Duration);

impl From<Time> for Duration {
    fn from(time: Time) -> Duration {
        time.0
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Time, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Time;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time with its unit, such as \"500ms\" or \"10s\"")
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Time, E> {
                Err(E::custom(format!("{number} has no unit: give a time such as \"{number}s\" or \"{number}ms\"")))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Time, E> {
                match text {
                    "never" => Ok(Time(Duration::MAX)),
                    text => humantime::parse_duration(text).map(Time).map_err(|_| {
                        E::custom("not a time: give a number and its unit, such as \"500ms\" or \"10s\", or \"never\"")
                    }),
                }
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// A number of bytes, or a text with its unit, such as `"64MiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(usize);

impl From<Size> for usize {
    fn from(size: Size) -> usize {
        size.0
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Size;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size, such as \"64MiB\", or a number of bytes")
            }

            fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
                usize::try_from(bytes)
                    .map(Size)
                    .map_err(|_| E::custom("not a number of bytes that this machine can count"))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
                let size = text.parse::<bytesize::ByteSize>().ok().and_then(|size| usize::try_from(size.as_u64()).ok());
                size.map(Size)
                    .ok_or_else(|| E::custom("not a size: give a number and its unit, such as \"64MiB\" or \"1GB\""))
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// One text, or several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Texts {
    One(String),
    Several(Vec<String>),
}

impl Texts {
    pub(super) fn as_slice(&self) -> &[String] {
        match self {
            Texts::One(text) => std::slice::from_ref(text),
            Texts::Several(texts) => texts,
        }
    }
}

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Texts, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Texts;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string or a list of strings")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Texts, E> {
                Ok(Texts::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = list.next_element()? {
                    texts.push(text);
                }
                Ok(Texts::Several(texts))
            }
        }
        deserializer.deserialize_any(Read)
    }
}
