//! The answers of a simulated peer that has answered a request by the time the link's `send` returns.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use connector_core::{Action, Message, Payload};

#[derive(Default)]
pub(crate) struct Answers {
    waiting: Mutex<VecDeque<Message>>,
    reader: Mutex<Option<Waker>>,
}

impl Answers {
    /// Answers a request with `["echo"]`: a handshake with the methods, a call with its result.
    pub(crate) fn add(&self, request: Message) {
        let mut answer = Message::new(Action::Response);
        (answer.id, answer.key, answer.payload) = (request.id, request.key, Some(Payload::new(["echo"])));
        self.waiting.lock().unwrap().push_back(answer);
        self.wake_reader();
    }

    pub(crate) fn wake_reader(&self) {
        self.reader.lock().unwrap().take().into_iter().for_each(Waker::wake);
    }

    /// The next answer, once it may be given. `may_answer` gets it and the number of answers that wait.
    pub(crate) fn poll_next(
        &self,
        cx: &mut Context<'_>,
        may_answer: impl FnOnce(&Message, usize) -> bool,
    ) -> Poll<Message> {
        let mut waiting = self.waiting.lock().unwrap();
        if waiting.front().is_some_and(|next| may_answer(next, waiting.len())) {
            return Poll::Ready(waiting.pop_front().unwrap());
        }
        *self.reader.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }
}
