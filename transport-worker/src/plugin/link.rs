//! A link to a supervised plugin.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use connector_core::{DecodeError, Link, LinkEnd, Message, SendError};

use super::worker::{Status, Worker};
use crate::link::ChannelLink;

/// The engine's end. Dropping it closes the channel, and the plugin ends.
pub(super) struct WorkerLink {
    inner: ChannelLink,
    worker: Worker,
    settled: Pin<Box<dyn Future<Output = Status> + Send>>,
    state: State,
}

enum State {
    Open,
    /// The channel has ended and the plugin is ending.
    ChannelEnded(LinkEnd),
    Ended(LinkEnd),
}

impl WorkerLink {
    pub(super) fn new(inner: ChannelLink, worker: Worker) -> WorkerLink {
        let settled = Box::pin(worker.watch().settled());
        WorkerLink { inner, worker, settled, state: State::Open }
    }

    /// The channel, while it carries messages. The reader reports its end, with how the plugin ended.
    fn poll_open(&mut self) -> Poll<Result<&mut ChannelLink, LinkEnd>> {
        match &self.state {
            State::Open => Poll::Ready(Ok(&mut self.inner)),
            State::ChannelEnded(_) => Poll::Pending,
            State::Ended(end) => Poll::Ready(Err(end.clone())),
        }
    }
}

impl Link for WorkerLink {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        ready!(self.poll_open())?.poll_ready(cx)
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        match &self.state {
            State::Open => self.inner.send(message),
            State::ChannelEnded(end) | State::Ended(end) => Err(end.clone().into()),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        ready!(self.poll_open())?.poll_flush(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        loop {
            match &self.state {
                State::Open => match self.inner.poll_message(cx) {
                    Poll::Ready(Err(end)) => {
                        self.worker.ask_to_end();
                        self.state = State::ChannelEnded(end);
                    }
                    message => return message,
                },
                State::ChannelEnded(end) => {
                    let end = match ready!(self.settled.as_mut().poll(cx)) {
                        Status::Ended(Some(panic)) => LinkEnd::lost(format!("the plugin panicked: {panic}")),
                        _ => end.clone(),
                    };
                    self.state = State::Ended(end);
                }
                State::Ended(end) => return Poll::Ready(Err(end.clone())),
            }
        }
    }

    /// Closes the channel and waits for the plugin to end.
    fn poll_disconnect(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Ended(_) = self.state {
            return Poll::Ready(());
        }
        ready!(self.inner.poll_disconnect(cx));
        self.worker.ask_to_end();
        ready!(self.settled.as_mut().poll(cx));
        self.state = State::Ended(LinkEnd::Disconnected);
        Poll::Ready(())
    }

    fn moves_values(&self) -> bool {
        self.inner.moves_values()
    }
}
