//! Slow links and stalled links.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use connector_core::{
    CallError, DecodeError, ExternalProfile, Link, LinkEnd, LinkState, Message, Plugin, PluginOptions, Registration,
    SendError, Traffic,
};
use futures_util::future::join_all;
use serde_json::json;

use crate::answers::Answers;
use crate::scripted_peer::{Peer, Peers};
use crate::support::{Clones, Host, settle, short_queue};

fn why(state: &LinkState) -> String {
    match state {
        LinkState::Down { why, .. } => why.to_string(),
        other => panic!("{other}"),
    }
}

/// A plugin whose queue is full: it has not read its events yet.
async fn with_full_queue() -> (Host, Peer, Peers) {
    let host = Host::new().await;
    let options = PluginOptions::default().queue(short_queue(16));
    let (peer, peers) = host.add_scripted_with(options, "slow", &[], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    for number in 0..64 + 16 + 50 {
        host.local.emit("e", (number,)).await.unwrap();
    }
    (host, peer, peers)
}

/// The queue is always full.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_reads_one_message_in_nine_seconds_keeps_its_link() {
    let (host, mut peer, _peers) = with_full_queue().await;
    let state = host.engine.link_state("slow").unwrap();
    for number in 0..30 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(state.borrow().is_up(), "after {number}: {}", *state.borrow());
        assert_eq!(peer.recv().await["payload"], json!([number]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_stops_reading_later_is_also_closed() {
    let (host, mut peer, _peers) = with_full_queue().await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        peer.recv().await;
    }
    let mut state = host.engine.link_state("slow").unwrap();
    let down = tokio::time::timeout(Duration::from_secs(13), state.wait_for(|state| !state.is_up())).await;
    let why = why(&down.expect("it is never closed").unwrap());
    assert!(why.starts_with("too slow"), "{why}");
}

/// Exceeds the queue's capacity, with both ends on one thread.
#[tokio::test]
async fn thirty_thousand_calls_at_once_all_succeed() {
    const CALLS: usize = 30_000;
    let host = Host::new().await;
    let options =
        PluginOptions::default().concurrency(CALLS).queue_length(CALLS).queue_timeout(Duration::from_secs(600));
    host.add_with(options, || Plugin::new("p").method("echo", |number: usize| async move { number })).await;
    let calls = (0..CALLS).map(|number| host.local.call::<usize>("p", "echo", (number,)));
    for (number, answer) in join_all(calls).await.into_iter().enumerate() {
        assert_eq!(answer.unwrap(), number);
    }
}

/// Answers handshakes at once. Other messages never finish sending, but some of their bytes leave now and then.
#[derive(Clone, Default)]
struct Trickle(Arc<State>);

#[derive(Default)]
struct State {
    answers: Answers,
    busy: AtomicU64,
    sent: AtomicU64,
}

impl Link for Trickle {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        if self.0.busy.load(Ordering::Relaxed) > 0 { Poll::Pending } else { Poll::Ready(Ok(())) }
    }

    fn send(&mut self, message: Message) -> Result<(), SendError> {
        if message.key.as_deref() != Some("handshake") {
            self.0.busy.fetch_add(1, Ordering::Relaxed);
            return Ok(());
        }
        self.0.answers.add(message);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkEnd>> {
        self.poll_ready(cx)
    }

    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Result<Message, DecodeError>, LinkEnd>> {
        self.0.answers.poll_next(cx, |_, _| true).map(|answer| Ok(Ok(answer)))
    }

    fn poll_disconnect(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn traffic(&self) -> Traffic {
        Traffic { sent: self.0.sent.load(Ordering::Relaxed), ..Traffic::default() }
    }
}

#[tokio::test(start_paused = true)]
async fn slowly_sent_bytes_of_a_message_are_progress() {
    let host = Host::new().await;
    let link = Trickle::default();
    let behind = Registration::behind(ExternalProfile::new("p", "nowhere"), Clones(link.clone()));
    let options = PluginOptions::default()
        .concurrency(100)
        .queue(short_queue(16))
        .queue_timeout(Duration::from_secs(3600))
        .health_interval(Duration::MAX);
    host.engine.register(behind.options(options)).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    let calls: Vec<_> = (0..30).map(|_| host.start::<String>("p", "echo", ())).collect();
    let mut state = host.engine.link_state("p").unwrap();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(9)).await;
        assert!(state.borrow().is_up(), "{}", *state.borrow());
        link.0.sent.fetch_add(1, Ordering::Relaxed);
        link.0.answers.wake_reader();
    }
    let down = tokio::time::timeout(Duration::from_secs(13), state.wait_for(|state| !state.is_up())).await;
    assert!(why(&down.expect("it is never closed").unwrap()).starts_with("too slow"));
    for call in calls {
        assert!(matches!(call.await.unwrap(), Err(CallError::LinkLost(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_costs_the_emitters_oldest_events_and_nothing_else() {
    let host = Host::new().await;
    let options = PluginOptions::default().queue(short_queue(16).max_messages(1000));
    let (mut listener, _listeners) = host.add_scripted_with(options, "listener", &[], false).await;
    let (flood, _floods) = host.add_scripted("flood", &[], false).await;
    for emitter in ["local", "flood"] {
        listener.send(json!({"action": "on", "name": emitter, "key": "e"}));
    }
    settle().await;
    for number in 0..100 {
        for part in 0..1000 {
            flood.send(json!({"action": "emit", "key": "e", "payload": [1000 * number + part]}));
        }
        host.local.emit("e", (number,)).await.unwrap();
        settle().await;
    }
    let mut received = Vec::new();
    while let Some(more) = Some(listener.all().await).filter(|more| !more.is_empty()) {
        received.extend(more);
    }
    let of = |emitter| {
        received.iter().filter(move |event| event["name"] == emitter).map(|event| event["payload"][0].clone())
    };
    assert!(of("local").eq(0..100), "every event of the other emitter arrives");
    let flood: Vec<_> = of("flood").map(|number| number.as_u64().unwrap()).collect();
    assert!(flood.is_sorted() && flood.last() == Some(&99_999) && flood.len() < 1100, "{} events", flood.len());
    assert!(host.engine.link_state("listener").unwrap().borrow().is_up());
}
