//! **Pure**: packs messages into data frames. Small messages share a frame, large ones span several.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use connector_core::{Message, PayloadError};

use super::frame::HEADER;

/// Before each message: its length, which is never split between frames.
pub(crate) const LENGTH: usize = 4;

/// Messages that are not sent yet.
#[derive(Debug)]
pub(crate) struct Outbox {
    /// Frames that are complete, in front of the frame that is being filled.
    full: VecDeque<Part>,
    /// Begins with room for the header once it has a message.
    filling: Vec<u8>,
    /// The number of bytes in both, without headers.
    bytes: usize,
    max_frame: usize,
    max_message: usize,
    /// The length of the frame sent last: the next one may be as long.
    last: usize,
}

#[derive(Debug)]
enum Part {
    /// With room for its header.
    Frame(Vec<u8>),
    /// What is left of a message that is larger than a frame. It is cut only when it is sent, so that it is held once.
    Large(Bytes),
}

impl Outbox {
    /// `max_frame` is the longest content of a frame.
    pub(crate) fn new(max_frame: usize, max_message: usize) -> Outbox {
        Outbox { full: VecDeque::new(), filling: Vec::new(), bytes: 0, max_frame, max_message, last: 0 }
    }

    /// The number of bytes that are not sent.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// # Errors
    /// It cannot be serialized, or is too large; nothing has changed.
    pub(crate) fn push(&mut self, message: &Message) -> Result<(), PayloadError> {
        self.push_with(|text| message.encode_into(text))
    }

    /// As [`push`](Outbox::push), of what `encode` appends.
    pub(crate) fn push_with(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), PayloadError>,
    ) -> Result<(), PayloadError> {
        if self.filling.is_empty() {
            self.filling.reserve(HEADER + self.last.max(512));
            self.filling.resize(HEADER, 0);
        }
        let start = self.filling.len();
        self.filling.resize(start + LENGTH, 0);
        let encoded = encode(&mut self.filling).and_then(|()| self.check(self.filling.len() - start - LENGTH));
        let length = match encoded {
            Ok(length) => length,
            Err(error) => {
                self.filling.truncate(if start == HEADER { 0 } else { start });
                return Err(error);
            }
        };
        self.filling[start..start + LENGTH].copy_from_slice(&length.to_be_bytes());
        self.bytes += LENGTH + length as usize;
        if self.filling.len() - HEADER > self.max_frame {
            let own = self.filling.split_off(start);
            self.seal();
            self.full.push_back(Part::Large(own.into()));
        }
        Ok(())
    }

    fn check(&self, length: usize) -> Result<u32, PayloadError> {
        let too_large = || PayloadError::TooLarge {
            bytes: length,
            limit: self.max_message,
            setting: "NatsConfig::max_message at both ends",
        };
        match length > self.max_message {
            true => Err(too_large()),
            false => u32::try_from(length).map_err(|_| too_large()),
        }
    }

    fn seal(&mut self) {
        let frame = std::mem::take(&mut self.filling);
        if frame.len() > HEADER {
            self.full.push_back(Part::Frame(frame));
        }
    }

    /// The length of the next frame's content; `None` if everything is sent.
    pub(crate) fn next_length(&self) -> Option<usize> {
        match self.full.front() {
            Some(Part::Frame(frame)) => Some(frame.len() - HEADER),
            Some(Part::Large(rest)) => Some(rest.len().min(self.max_frame)),
            None if self.filling.len() > HEADER => Some(self.filling.len() - HEADER),
            None => None,
        }
    }

    /// Takes the next frame, with room for its header.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        let frame = match self.full.pop_front() {
            Some(Part::Frame(frame)) => frame,
            Some(Part::Large(mut rest)) => {
                let length = rest.len().min(self.max_frame);
                let mut frame = Vec::with_capacity(HEADER + length);
                frame.resize(HEADER, 0);
                frame.extend_from_slice(&rest[..length]);
                rest.advance(length);
                if !rest.is_empty() {
                    self.full.push_front(Part::Large(rest));
                }
                frame
            }
            None if self.filling.len() > HEADER => std::mem::take(&mut self.filling),
            None => return None,
        };
        self.last = frame.len() - HEADER;
        self.bytes -= self.last;
        Some(frame)
    }

    /// Drops what is not sent.
    pub(crate) fn clear(&mut self) {
        self.full.clear();
        self.filling = Vec::new();
        self.bytes = 0;
    }
}
