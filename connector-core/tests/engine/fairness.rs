//! A busy link does not starve other tasks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use connector_core::{
    Action, DecodeError, Engine, ExternalProfile, Link, LinkEnd, Message, Payload, Plugin, PluginOptions, Registration,
    SendError,
};
use futures_util::future::join_all;

use crate::support::Clones;

const CALLS: usize = 500;

/// Responds to everything immediately, but makes calls only after receiving all of them.
#[derive(Clone, Default)]
struct AtOnce(Arc<State>);

#[derive(Default)]
struct State {
    answers: Mutex<VecDeque<Message>>,
    reader: Mutex<Option<Waker>>,
    given: AtomicUsize,
}

impl Link for AtOnce {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        let mut answer = Message::new(Action::Response);
        (answer.id, answer.key, answer.payload) = (message.id, message.key, Some(Payload::new(["echo"])));
        self.0.answers.lock().unwrap().push_back(answer);
        self.0.reader.lock().unwrap().take().into_iter().for_each(Waker::wake);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        Poll::Ready(Ok(()))
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let mut answers = self.0.answers.lock().unwrap();
        let handshake = answers.front().is_some_and(|answer| answer.key.as_deref() == Some("handshake"));
        let given = self.0.given.load(Ordering::Relaxed);
        if (handshake || answers.len() + given >= CALLS)
            && let Some(answer) = answers.pop_front()
        {
            self.0.given.store(given + usize::from(!handshake), Ordering::Relaxed);
            return Poll::Ready(Ok(Ok(answer)));
        }
        *self.0.reader.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_disconnect(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

#[tokio::test]
async fn a_caller_continues_while_more_responses_arrive() {
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local")).unwrap();
    let link = AtOnce::default();
    let behind = Registration::behind(ExternalProfile::new("p", "nowhere"), Clones(link.clone()));
    engine.register(behind.options(PluginOptions::default().concurrency(CALLS))).unwrap();
    engine.manager().activate("local").await.unwrap();
    engine.manager().activate("p").await.unwrap();

    let answered = join_all((0..CALLS).map(async |_| {
        local.call::<(String,)>("p", "echo", ()).await.unwrap();
        link.0.given.load(Ordering::Relaxed)
    }));
    let given = answered.await;
    assert!(given[0] < CALLS / 4, "the first continued after {} answers", given[0]);
    engine.shutdown().await;
}
