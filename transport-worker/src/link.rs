//! A link made of two pipes. Messages are moved and not serialized.

use std::task::{Context, Poll, ready};

use connector_core::{DecodeError, Link, LinkEnd, Message, SendError};

use crate::pipe::{Capacity, Reader, Writer, Written, pipe};

/// The two ends of one link.
pub(crate) fn links(capacity: Capacity) -> (ChannelLink, ChannelLink) {
    let ((here, from_here), (there, from_there)) = (pipe(capacity), pipe(capacity));
    let link = |writer, reader| ChannelLink { writer, reader, end: None };
    (link(here, from_there), link(there, from_here))
}

pub(crate) struct ChannelLink {
    writer: Writer,
    reader: Reader,
    end: Option<LinkEnd>,
}

impl ChannelLink {
    fn open(&self) -> Result<(), LinkEnd> {
        self.end.clone().map_or(Ok(()), Err)
    }
}

impl Link for ChannelLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.open()?;
        self.writer.poll_ready(cx).map(Ok)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.open()?;
        self.writer.push(message);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.open()?;
        self.writer.flush();
        Poll::Ready(Ok(()))
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.open()?;
        let written = match ready!(self.reader.poll_message(cx)) {
            Ok(message) => return Poll::Ready(Ok(Ok(message))),
            Err(written) => written,
        };
        let end = match written {
            Written::Closed => LinkEnd::Closed { code: None, reason: String::new() },
            Written::Open | Written::Dropped => LinkEnd::lost("the other end was dropped without closing"),
        };
        Poll::Ready(Err(self.end.insert(end).clone()))
    }

    fn poll_disconnect(&mut self, _: &mut Context<'_>) -> Poll<()> {
        self.writer.close();
        self.end.get_or_insert(LinkEnd::Disconnected);
        Poll::Ready(())
    }

    fn moves_values(&self) -> bool {
        true
    }
}
