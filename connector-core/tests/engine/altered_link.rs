//! A link with another property than the one it wraps.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connector_core::{DecodeError, Link, LinkEnd, Message, SendError};
use tokio::time::Sleep;

pub(crate) struct AlteredLink {
    link: Box<dyn Link>,
    max_message: Option<usize>,
    close_delay: Duration,
    closing: Option<Pin<Box<Sleep>>>,
}

impl AlteredLink {
    pub(crate) fn new(link: Box<dyn Link>) -> AlteredLink {
        AlteredLink { link, max_message: None, close_delay: Duration::ZERO, closing: None }
    }

    /// Its transport limits the size of a message.
    pub(crate) fn max_message(mut self, bytes: usize) -> Box<dyn Link> {
        self.max_message = Some(bytes);
        Box::new(self)
    }

    /// It takes this long to begin its close.
    pub(crate) fn close_delay(mut self, delay: Duration) -> Box<dyn Link> {
        self.close_delay = delay;
        Box::new(self)
    }
}

impl Link for AlteredLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.link.poll_ready(cx)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.link.send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.link.poll_flush(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.link.poll_message(cx)
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let delay = self.close_delay;
        ready!(self.closing.get_or_insert_with(|| Box::pin(tokio::time::sleep(delay))).as_mut().poll(cx));
        self.link.poll_disconnect(cx)
    }

    fn max_message(&self) -> Option<usize> {
        self.max_message
    }
}
