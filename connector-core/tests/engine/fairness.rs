//! A busy link does not starve other tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use conformance::engine_with;
use connector_core::{
    DecodeError, ExternalProfile, Link, LinkEnd, Message, Plugin, PluginOptions, Registration, SendError,
};
use futures_util::future::join_all;

use crate::answers::Answers;
use crate::support::Clones;

const CALLS: usize = 500;

/// Responds to everything immediately, but makes calls only after receiving all of them.
#[derive(Clone, Default)]
struct AtOnce(Arc<State>);

#[derive(Default)]
struct State {
    answers: Answers,
    given: AtomicUsize,
}

impl Link for AtOnce {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        self.0.answers.add(message);
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        Poll::Ready(Ok(()))
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let given = self.0.given.load(Ordering::Relaxed);
        let is_handshake = |answer: &Message| answer.key.as_deref() == Some("handshake");
        let may_answer = |next: &Message, waiting| is_handshake(next) || waiting + given >= CALLS;
        self.0.answers.poll_next(cx, may_answer).map(|answer| {
            self.0.given.store(given + usize::from(!is_handshake(&answer)), Ordering::Relaxed);
            Ok(Ok(answer))
        })
    }

    fn poll_disconnect(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

#[tokio::test]
async fn a_caller_continues_while_more_responses_arrive() {
    let (engine, local) = engine_with(Plugin::new("local")).await;
    let link = AtOnce::default();
    let behind = Registration::behind(ExternalProfile::new("p", "nowhere"), Clones(link.clone()));
    engine.register(behind.options(PluginOptions::default().concurrency(CALLS))).unwrap();
    engine.manager().activate("p").await.unwrap();

    let answered = join_all((0..CALLS).map(async |_| {
        local.call::<(String,)>("p", "echo", ()).await.unwrap();
        link.0.given.load(Ordering::Relaxed)
    }));
    let given = answered.await;
    assert!(given[0] < CALLS / 4, "the first continued after {} answers", given[0]);
    engine.shutdown().await;
}
