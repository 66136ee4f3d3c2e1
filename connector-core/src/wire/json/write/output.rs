//! Where JSON goes: into a buffer, or only into an estimate of its length.

use std::io;

use serde::Serialize;
use serde::ser::Error as _;
use serde_json::Error;

use super::{write, write_str, write_to};

pub(crate) trait Output: io::Write {
    fn push(&mut self, byte: u8);
    fn extend(&mut self, bytes: &[u8]);
    /// Appends a quoted string.
    fn string(&mut self, text: &str);
    /// Appends a number, a boolean or a character.
    ///
    /// # Errors
    /// As serde_json.
    fn scalar(&mut self, value: &impl Serialize) -> Result<(), Error>
    where
        Self: Sized,
    {
        serde_json::to_writer(self, value)
    }

    /// Appends a key. Numbers and booleans become quoted keys.
    ///
    /// # Errors
    /// It is not a string, a number or a boolean.
    fn key(&mut self, key: &(impl Serialize + ?Sized)) -> Result<(), Error>;
}

impl Output for Vec<u8> {
    #[inline]
    fn push(&mut self, byte: u8) {
        self.push(byte);
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    #[inline]
    fn string(&mut self, text: &str) {
        write_str(self, text);
    }

    fn key(&mut self, key: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        let start = self.len();
        write(self, key)?;
        match self.get(start) {
            Some(b'"') => return Ok(()),
            Some(b'0'..=b'9' | b'-' | b't' | b'f') => {}
            _ => return Err(Error::custom("key must be a string")),
        }
        self.insert(start, b'"');
        self.push(b'"');
        Ok(())
    }
}

/// Estimates the length of the JSON.
#[derive(Default)]
pub(super) struct Counter {
    bytes: usize,
}

impl Counter {
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Output for Counter {
    #[inline]
    fn push(&mut self, _: u8) {
        self.bytes += 1;
    }

    #[inline]
    fn extend(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
    }

    fn string(&mut self, text: &str) {
        self.bytes += text.len() + 2;
    }

    #[inline]
    fn scalar(&mut self, value: &impl Serialize) -> Result<(), Error> {
        self.bytes += size_of_val(value);
        Ok(())
    }

    fn key(&mut self, key: &(impl Serialize + ?Sized)) -> Result<(), Error> {
        write_to(self, key)
    }
}

/// For what serde_json writes.
impl io::Write for Counter {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
