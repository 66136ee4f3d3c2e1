//! **Pure**: takes messages out of data frames.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use connector_core::LinkEnd;

use super::outbox::LENGTH;
use super::room::{Line, Room, Taken};

/// Received data frames.
#[derive(Debug)]
pub(crate) struct Inbox {
    frames: VecDeque<Frame>,
    /// The number of bytes in them.
    unread: usize,
    partial: Option<Partial>,
    max_message: usize,
    /// Where messages that are longer than what has arrived wait for room.
    line: Line,
}

#[derive(Debug)]
struct Frame {
    length: usize,
    unread: Bytes,
}

/// The beginning of a message that spans frames.
#[derive(Debug)]
struct Partial {
    text: Vec<u8>,
    length: usize,
    _room: Option<Taken>,
}

impl Inbox {
    /// For messages of up to `max_message` bytes. The room may be shared with others.
    pub(crate) fn new(max_message: usize, room: Room) -> Inbox {
        Inbox { frames: VecDeque::new(), unread: 0, partial: None, max_message, line: Line::new(room) }
    }

    pub(crate) fn push(&mut self, content: Bytes) {
        self.unread += content.len();
        self.frames.push_back(Frame { length: content.len(), unread: content });
    }

    /// The next message, as JSON. `consumed` is called with the length of each frame that has been read. Without a message,
    /// the task is woken only if there was no room for one.
    ///
    /// # Errors
    /// A frame's content is not a sequence of messages, or a message is too large.
    pub(crate) fn next(
        &mut self,
        cx: &mut Context<'_>,
        mut consumed: impl FnMut(usize),
    ) -> Result<Option<Bytes>, LinkEnd> {
        loop {
            let Some(frame) = self.frames.front_mut() else { return Ok(None) };
            let before = frame.unread.len();
            let message = match &mut self.partial {
                Some(Partial { text, length, .. }) => {
                    let part = frame.unread.split_to(frame.unread.len().min(*length - text.len()));
                    // Grows with what arrives: the announced length is not trusted.
                    text.extend_from_slice(&part);
                    match text.len() == *length {
                        true => self.partial.take().map(|partial| Bytes::from(partial.text)),
                        false => None,
                    }
                }
                None if frame.unread.is_empty() => None,
                None => {
                    let Some(length) = frame.unread.first_chunk::<LENGTH>() else {
                        return Err(LinkEnd::BadFrame("a frame ends within the length of a message".to_owned()));
                    };
                    let length = u32::from_be_bytes(*length) as usize;
                    if length > self.max_message {
                        return Err(LinkEnd::TooLarge { limit: self.max_message });
                    }
                    let room = if self.unread < LENGTH + length {
                        match self.line.poll_take(cx, length) {
                            Poll::Ready(taken) => taken,
                            Poll::Pending => return Ok(None),
                        }
                    } else {
                        // The window is the limit of what has arrived.
                        self.line.leave();
                        None
                    };
                    frame.unread.advance(LENGTH);
                    match length <= frame.unread.len() {
                        true => Some(frame.unread.split_to(length)),
                        false => {
                            let text = std::mem::take(&mut frame.unread).into();
                            self.partial = Some(Partial { text, length, _room: room });
                            None
                        }
                    }
                }
            };
            self.unread -= before - frame.unread.len();
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
        self.unread = 0;
        self.line.leave();
        for frame in self.frames.drain(..) {
            consumed(frame.length);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use connector_core::{Action, Message, Payload};

    use super::super::frame::HEADER;
    use super::super::outbox::Outbox;
    use super::super::room::LARGEST_MESSAGES;
    use super::*;

    fn message(size: usize) -> Message {
        Message { payload: Some(Payload::new("x".repeat(size))), ..Message::new(Action::Emit) }
    }

    fn received(inbox: &mut Inbox, consumed: &mut usize) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(text) =
            inbox.next(&mut Context::from_waker(Waker::noop()), |length| *consumed += length).unwrap()
        {
            all.push(text.to_vec());
        }
        all
    }

    #[test]
    fn messages_of_every_size_arrive_in_frames_of_every_size() {
        for max_frame in [4, 5, 7, 64, 100, 1000, 5000] {
            let (mut outbox, mut inbox) = (Outbox::new(max_frame, 10_000), Inbox::new(10_000, Room::new(10_000)));
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
            let mut inbox = Inbox::new(100, Room::new(100));
            inbox.push(Bytes::from_static(bytes));
            inbox.next(&mut Context::from_waker(Waker::noop()), |_| {})
        };
        assert!(matches!(next(b"\0\0"), Err(LinkEnd::BadFrame(_))));
        assert!(matches!(next(b"\0\0\0\x65"), Err(LinkEnd::TooLarge { limit: 100 })));
        assert!(matches!(next(b"\xff\xff\xff\xff"), Err(LinkEnd::TooLarge { .. })));
        assert_eq!(next(b"").unwrap(), None);
        assert_eq!(next(b"\0\0\0\0").unwrap().unwrap(), b""[..]);
    }

    /// A message of this length in frames of 1,000 bytes.
    fn frames(length: u32) -> Vec<Bytes> {
        let bytes = [&length.to_be_bytes()[..], &vec![b'x'; length as usize]].concat();
        bytes.chunks(1000).map(Bytes::copy_from_slice).collect()
    }

    #[test]
    fn halves_of_messages_share_room_and_those_beyond_it_are_not_read() {
        let (max, room) = (16 << 10, Room::new(16 << 10));
        let mut inboxes: Vec<_> = (0..100).map(|_| Inbox::new(max, room.clone())).collect();
        let mut consumed = 0;
        for inbox in &mut inboxes {
            for frame in frames(max as u32).into_iter().take(15) {
                inbox.push(frame);
                assert!(received(inbox, &mut consumed).is_empty());
            }
        }
        assert_eq!(consumed, LARGEST_MESSAGES * 15_000);
        // A session that ends makes room, as one does whose message is complete.
        drop(inboxes.remove(0));
        frames(max as u32).into_iter().skip(15).for_each(|frame| inboxes[0].push(frame));
        assert_eq!(received(&mut inboxes[0], &mut consumed).len(), 1);
        consumed = 0;
        inboxes[3..].iter_mut().for_each(|inbox| assert!(received(inbox, &mut consumed).is_empty()));
        assert_eq!(consumed, 2 * 15_000);
        // What is there needs no room.
        let last = inboxes.last_mut().unwrap();
        frames(max as u32).into_iter().skip(15).for_each(|frame| last.push(frame));
        assert_eq!(received(last, &mut consumed).len(), 1);
    }
}
