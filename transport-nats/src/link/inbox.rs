//! **Pure**: takes messages out of data frames.

use std::collections::VecDeque;

use bytes::{Buf, Bytes};
use connector_core::LinkEnd;

/// Received data frames.
#[derive(Debug)]
pub(crate) struct Inbox {
    frames: VecDeque<Frame>,
    /// The beginning of a message that spans frames, and its length.
    partial: Option<(Vec<u8>, usize)>,
    max_message: usize,
}

#[derive(Debug)]
struct Frame {
    length: usize,
    unread: Bytes,
}

impl Inbox {
    pub(crate) fn new(max_message: usize) -> Inbox {
        Inbox { frames: VecDeque::new(), partial: None, max_message }
    }

    pub(crate) fn push(&mut self, content: Bytes) {
        self.frames.push_back(Frame { length: content.len(), unread: content });
    }

    /// The next message, as JSON. `consumed` is called with the length of each frame that has been read.
    ///
    /// # Errors
    /// A frame's content is not a sequence of messages, or a message is too large.
    pub(crate) fn next(&mut self, mut consumed: impl FnMut(usize)) -> Result<Option<Bytes>, LinkEnd> {
        loop {
            let Some(frame) = self.frames.front_mut() else { return Ok(None) };
            let message = match &mut self.partial {
                Some((text, length)) => {
                    let part = frame.unread.split_to(frame.unread.len().min(*length - text.len()));
                    // Grows with what arrives: the announced length is not trusted.
                    text.extend_from_slice(&part);
                    match text.len() == *length {
                        true => self.partial.take().map(|(text, _)| Bytes::from(text)),
                        false => None,
                    }
                }
                None if frame.unread.is_empty() => None,
                None => {
                    let length = frame
                        .unread
                        .try_get_u32()
                        .map_err(|_| LinkEnd::BadFrame("a frame ends within the length of a message".to_owned()))?
                        as usize;
                    if length > self.max_message {
                        return Err(LinkEnd::TooLarge { limit: self.max_message });
                    }
                    match length <= frame.unread.len() {
                        true => Some(frame.unread.split_to(length)),
                        false => {
                            self.partial = Some((std::mem::take(&mut frame.unread).into(), length));
                            None
                        }
                    }
                }
            };
            if frame.unread.is_empty() {
                consumed(frame.length);
                self.frames.pop_front();
            }
            if message.is_some() {
                return Ok(message);
            }
        }
    }

    /// Drops everything, as if it had been read.
    pub(crate) fn discard(&mut self, mut consumed: impl FnMut(usize)) {
        self.partial = None;
        for frame in self.frames.drain(..) {
            consumed(frame.length);
        }
    }
}

#[cfg(test)]
mod tests {
    use connector_core::{Action, Message, Payload};

    use super::super::frame::HEADER;
    use super::super::outbox::{LENGTH, Outbox};
    use super::*;

    fn message(size: usize) -> Message {
        Message { payload: Some(Payload::new("x".repeat(size))), ..Message::new(Action::Emit) }
    }

    fn received(inbox: &mut Inbox, consumed: &mut usize) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(text) = inbox.next(|length| *consumed += length).unwrap() {
            all.push(text.to_vec());
        }
        all
    }

    #[test]
    fn messages_of_every_size_arrive_in_frames_of_every_size() {
        for max_frame in [4, 5, 7, 64, 100, 1000, 5000] {
            let (mut outbox, mut inbox) = (Outbox::new(max_frame, 10_000), Inbox::new(10_000));
            let (mut sent, mut got, mut bytes, mut consumed) = (Vec::new(), Vec::new(), 0, 0);
            for size in (0..200).chain([500, 999, 4999, 9000]) {
                let message = message(size);
                outbox.push(&message).unwrap();
                sent.push(message.encode().unwrap());
                if size % 3 == 0 {
                    while let Some(frame) = outbox.take() {
                        assert!((1..=max_frame.max(LENGTH)).contains(&(frame.len() - HEADER)), "{max_frame}");
                        bytes += frame.len() - HEADER;
                        inbox.push(Bytes::from(frame).slice(HEADER..));
                    }
                    assert_eq!(outbox.bytes(), 0);
                    got.extend(received(&mut inbox, &mut consumed));
                }
            }
            assert_eq!(got.len(), sent.len());
            assert!(got.iter().zip(&sent).all(|(got, sent)| got == sent));
            assert_eq!(bytes, consumed);
        }
    }

    #[test]
    fn small_messages_share_a_frame() {
        let mut outbox = Outbox::new(1000, 1000);
        (0..10).for_each(|_| outbox.push(&message(10)).unwrap());
        assert!(outbox.next_length().is_some_and(|length| length > 300));
        outbox.take().unwrap();
        assert_eq!((outbox.take(), outbox.next_length()), (None, None));
    }

    #[test]
    fn a_refused_message_leaves_nothing_behind() {
        let mut outbox = Outbox::new(1000, 100);
        outbox.push(&message(200)).unwrap_err();
        assert_eq!((outbox.bytes(), outbox.take()), (0, None));
        outbox.push(&message(1)).unwrap();
        let before = outbox.bytes();
        outbox.push(&message(200)).unwrap_err();
        assert_eq!(outbox.bytes(), before);
        assert_eq!(outbox.take().unwrap().len(), HEADER + before);
    }

    #[test]
    fn other_bytes_are_violations() {
        let next = |bytes: &'static [u8]| {
            let mut inbox = Inbox::new(100);
            inbox.push(Bytes::from_static(bytes));
            inbox.next(|_| {})
        };
        assert!(matches!(next(b"\0\0"), Err(LinkEnd::BadFrame(_))));
        assert!(matches!(next(b"\0\0\0\x65"), Err(LinkEnd::TooLarge { limit: 100 })));
        assert!(matches!(next(b"\xff\xff\xff\xff"), Err(LinkEnd::TooLarge { .. })));
        assert_eq!(next(b"").unwrap(), None);
        assert_eq!(next(b"\0\0\0\0").unwrap().unwrap(), b""[..]);
    }
}
