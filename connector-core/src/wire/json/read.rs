//! A one-pass reader for objects with known members.

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::long::LONG;
use crate::wire::DecodeError;

// PERF: docs/performance.md, "envelopes read by serde's derived code": decoding -21 to -26 % instructions.
/// A position in a JSON text.
#[derive(Clone)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Reader<'a> {
        Reader { text, at: 0 }
    }

    /// Reads an object. Calls `member` with the name of each member; it must read the value.
    ///
    /// # Errors
    /// The input is not JSON or not an object, or `member` failed.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&str, &mut Reader<'a>) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        if self.peek() != Some(b'{') {
            self.skip()?;
            return Err(DecodeError::NotAMessage("expected an object".to_owned()));
        }
        self.at += 1;
        if self.takes(b'}') {
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("a name"));
            }
            let escaped;
            let name = match self.plain() {
                Some(name) => name,
                None => {
                    // A name that is not a Unicode string matches no member.
                    escaped = self.string(|text| text.to_owned())?.unwrap_or_default();
                    &escaped
                }
            };
            if !self.takes(b':') {
                return Err(self.unexpected("`:`"));
            }
            member(name, self)?;
            match () {
                () if self.takes(b',') => {}
                () if self.takes(b'}') => return Ok(()),
                () => return Err(self.unexpected("`,` or `}`")),
            }
        }
    }

    /// Reads any value with serde_json.
    pub(crate) fn value<T: Deserialize<'a>>(&mut self) -> Result<T, DecodeError> {
        let mut values = serde_json::Deserializer::from_str(&self.text[self.at..]).into_iter::<T>();
        let value = values.next().unwrap_or_else(|| serde_json::from_str("")).map_err(DecodeError::of)?;
        self.at += values.byte_offset();
        Ok(value)
    }

    /// The text of any value, without surrounding white space.
    pub(crate) fn raw(&mut self) -> Result<&'a str, DecodeError> {
        if self.text.len() - self.at < LONG {
            return self.value::<&RawValue>().map(RawValue::get);
        }
        self.peek();
        let start = self.at;
        self.skip_long()?;
        Ok(&self.text[start..self.at])
    }

    /// Whether an object starts at this position.
    pub(crate) fn at_object(&mut self) -> bool {
        self.peek() == Some(b'{')
    }

    /// Skips any value.
    pub(crate) fn skip(&mut self) -> Result<(), DecodeError> {
        self.value::<IgnoredAny>().map(drop)
    }

    /// The string at this position, if it contains no escapes.
    pub(crate) fn plain(&mut self) -> Option<&'a str> {
        if self.peek() != Some(b'"') {
            return None;
        }
        let start = self.at + 1;
        let plain = plain_length(&self.text.as_bytes()[start..]);
        if self.text.as_bytes().get(start + plain) != Some(&b'"') {
            return None;
        }
        self.at = start + plain + 1;
        Some(&self.text[start..start + plain])
    }

    /// Reads a string and converts it with `make`. For any other value, and for a string that is not valid Unicode
    /// (half of a surrogate pair), returns the JSON text.
    ///
    /// # Errors
    /// The input is not JSON.
    pub(crate) fn string<T>(&mut self, make: impl FnOnce(&str) -> T) -> Result<Result<T, &'a str>, DecodeError> {
        if let Some(plain) = self.plain() {
            return Ok(Ok(make(plain)));
        }
        let text = self.raw()?;
        Ok(serde_json::from_str::<String>(text).map(|string| make(&string)).map_err(|_| text))
    }

    // PERF: docs/performance.md, "Codecs and queues": -5 % instructions for a request.
    /// Reads an integer if there is one short enough to fit `i64` whatever its digits are.
    pub(crate) fn integer(&mut self) -> Option<i64> {
        let negative = self.peek() == Some(b'-');
        let digits = &self.text.as_bytes()[self.at + usize::from(negative)..];
        let (mut number, mut length) = (0_i64, 0);
        while let Some(digit @ b'0'..=b'9') = digits.get(length)
            && length < 18
        {
            number = number * 10 + i64::from(digit - b'0');
            length += 1;
        }
        let ends = !matches!(digits.get(length), Some(b'0'..=b'9' | b'.' | b'e' | b'E'));
        // 0 is the only number with a leading zero, and -0 is left to the slow path.
        let usual = length > 0 && ends && if digits[0] == b'0' { length == 1 && !negative } else { true };
        if !usual {
            return None;
        }
        self.at += usize::from(negative) + length;
        Some(if negative { -number } else { number })
    }

    /// Checks that only white space follows.
    pub(crate) fn end(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.unexpected("nothing more")),
        }
    }

    pub(super) fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// The next byte that is not white space.
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                byte => return Some(*byte),
            }
        }
    }

    pub(super) fn takes(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.at += usize::from(there);
        there
    }

    pub(super) fn unexpected(&self, expected: &str) -> DecodeError {
        DecodeError::NotJson(format!("expected {expected} at byte {}", self.at))
    }
}

// PERF: docs/performance.md, "names of an envelope checked byte by byte": decoding -3 to -8 % instructions.
/// The number of leading bytes that are neither a quote, a backslash nor a control character. Checks eight bytes at a
/// time: most strings of an envelope are not longer.
pub(super) fn plain_length(bytes: &[u8]) -> usize {
    if let Some(eight) = bytes.first_chunk()
        && let Some(length) = first_special(*eight)
    {
        return length;
    }
    longer_plain_length(bytes)
}

// PERF: docs/performance.md, "Codecs and queues": outside its caller, decoding -5 to -7 % instructions.
#[inline(never)]
fn longer_plain_length(bytes: &[u8]) -> usize {
    let (eights, rest) = bytes.as_chunks();
    for (place, eight) in eights.iter().enumerate() {
        if let Some(length) = first_special(*eight) {
            return place * 8 + length;
        }
    }
    let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20));
    eights.len() * 8 + plain.count()
}

fn first_special(eight: [u8; 8]) -> Option<usize> {
    let special = special_of(u64::from_le_bytes(eight));
    (special != 0).then(|| special.trailing_zeros() as usize / 8)
}

/// The lowest set bit marks the first special byte. Higher bits are meaningless, because the subtraction borrows from
/// the next byte.
fn special_of(eight: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGHEST: u64 = EACH << 7;
    let below = |word: u64, limit: u8| word.wrapping_sub(EACH * u64::from(limit)) & !word;
    let is = |byte: u8| below(eight ^ (EACH * u64::from(byte)), 1);
    (below(eight, 0x20) | is(b'"') | is(b'\\')) & HIGHEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_where_serde_json_ends_them() {
        for code in (0..0x100).chain([0x2028, 0xd7ff, 0x1f600]) {
            let Some(odd) = char::from_u32(code) else { continue };
            for before in 0..18 {
                for after in [0, 1, 9] {
                    let text = format!("\"{}{odd}{}\" ,\"x\"", "a".repeat(before), "\u{7f}\u{80}".repeat(after));
                    let expected = serde_json::Deserializer::from_str(&text).into_iter::<String>().next().unwrap().ok();
                    let mut reader = Reader::new(&text);
                    let string = reader.string(|text| text.to_owned()).ok().and_then(Result::ok);
                    assert_eq!(string.as_deref(), expected.as_deref(), "{text:?}");
                    assert!(expected.is_none() || matches!(odd, '"' | '\\') || reader.takes(b','), "{text:?}");
                }
            }
        }
    }
}
