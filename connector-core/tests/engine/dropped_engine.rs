//! An engine dropped at the moment when a link comes up.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::{
    Action, DecodeError, Engine, ExternalProfile, Link, LinkEnd, Message, Payload, Plugin, Registration, SendError,
};

use crate::support::Clones;

/// The engine, held by the link that drops it.
#[derive(Clone, Default)]
struct Last(Arc<Mutex<Option<Engine>>>);

/// Drops the engine, as another thread may at any time, delivers the handshake response, and then stays silent.
impl Link for Last {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        Poll::Ready(Ok(()))
    }

    fn send(&mut self, _: Message) -> Result<(), SendError> {
        Ok(())
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        Poll::Ready(Ok(()))
    }

    fn poll_message(&mut self, _: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        let Some(engine) = self.0.lock().unwrap().take() else { return Poll::Pending };
        drop(engine);
        let mut answer = Message::new(Action::Response);
        (answer.id, answer.key) = (Some((-2).into()), Some("handshake".into()));
        answer.payload = Some(Payload::new(["echo"]));
        Poll::Ready(Ok(Ok(answer)))
    }

    fn poll_disconnect(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_hangs_if_the_engine_is_dropped_while_a_link_comes_up() {
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local")).unwrap();
    engine.manager().activate("local").await.unwrap();
    let last = Last::default();
    engine.register(Registration::behind(ExternalProfile::new("p", "nowhere"), Clones(last.clone()))).unwrap();
    let state = engine.link_state("p").unwrap();
    *last.0.lock().unwrap() = Some(engine);
    let call = local.call::<String>("p", "echo", ("x",));
    let outcome = tokio::time::timeout(Duration::from_secs(5), call).await.expect("the call hangs");
    assert!(outcome.is_err(), "{outcome:?}");
    assert!(!state.borrow().is_up());
}
