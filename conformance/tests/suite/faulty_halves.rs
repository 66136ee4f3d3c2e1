//! Two links with swapped halves.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use connector_core::{DecodeError, Link, LinkEnd, Message, SendError};

/// An end that reads from one link and writes to another.
pub(crate) struct Halves {
    reads: Arc<Mutex<Box<dyn Link>>>,
    writes: Arc<Mutex<Box<dyn Link>>>,
}

impl Halves {
    pub(crate) fn swap(first: Box<dyn Link>, second: Box<dyn Link>) -> (Box<dyn Link>, Box<dyn Link>) {
        let [first, second] = [first, second].map(|link| Arc::new(Mutex::new(link)));
        let halves = |reads: &Arc<_>, writes: &Arc<_>| Halves { reads: Arc::clone(reads), writes: Arc::clone(writes) };
        (Box::new(halves(&first, &second)), Box::new(halves(&second, &first)))
    }
}

impl Link for Halves {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.writes.lock().unwrap().poll_ready(cx)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.writes.lock().unwrap().send(message)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.writes.lock().unwrap().poll_flush(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.reads.lock().unwrap().poll_message(cx)
    }

    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.writes.lock().unwrap().poll_disconnect(cx)
    }
}
