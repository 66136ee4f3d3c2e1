//! Links that are lost, recover, or are too slow.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::task::{Context, Wake};
use std::time::Duration;

use conformance::probe;
use connector_core::{CallError, ClientConfig, LinkState, Plugin, PluginOptions, connect};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::scripted_peer::{Peer, plugin_with_scripted_engine};
use crate::support::{Host, Notes, settle, short_queue, soon};

/// Longer than the maximum reconnect delay.
const HEALED: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn link_loss_and_recovery_are_announced() {
    let (host, notes) = (Host::new().await, Notes::default());
    let switch = host.add(probe).await;
    host.local.on("manager", "linkDown", notes.listener()).unwrap();
    host.local.on("manager", "linkUp", notes.listener()).unwrap();
    let mut state = host.engine.link_state("probe").unwrap();
    assert!(matches!(*state.borrow_and_update(), LinkState::Up));
    switch.refuse_connections(true);
    switch.cut();
    settle().await;
    assert!(matches!(*state.borrow_and_update(), LinkState::Down { .. }));
    assert!(host.engine.manager().is_active("probe"), "active throughout");
    assert_eq!(notes.take(), [json!(["probe", "cut"])]);
    tokio::time::sleep(HEALED).await;
    assert!(matches!(*state.borrow_and_update(), LinkState::Down { tries: 2.., .. }));
    switch.refuse_connections(false);
    tokio::time::sleep(HEALED).await;
    assert!(state.borrow_and_update().is_up());
    assert_eq!(notes.take(), [json!(["probe"])], "once, however often it was tried");
    assert_eq!(host.local.call::<i64>("probe", "add", (1, 2)).await.unwrap(), 3);
}

#[tokio::test(start_paused = true)]
async fn calls_while_the_link_is_down_fail_at_once() {
    let host = Host::new().await;
    let switch = host.add(probe).await;
    switch.refuse_connections(true);
    switch.cut();
    settle().await;
    let outcome = soon(host.local.call::<Value>("probe", "echo", (1,))).await;
    assert!(matches!(outcome, Err(CallError::LinkLost(_))), "{outcome:?}");
}

#[tokio::test(start_paused = true)]
async fn queued_calls_fail_at_once_when_the_link_is_lost() {
    let host = Host::new().await;
    let switch = host.add(probe).await;
    switch.refuse_connections(true);
    let calls: Vec<_> = (0..3).map(|_| host.start::<Value>("probe", "slow", (5000, 1))).collect();
    settle().await;
    switch.cut();
    for call in calls {
        assert!(matches!(soon(call).await.unwrap(), Err(CallError::LinkLost(_))));
    }
}

/// Records the link's state when the task waiting for a call is woken.
struct Woken(watch::Receiver<LinkState>, Mutex<Vec<bool>>);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0.borrow().is_up());
    }
}

#[tokio::test(start_paused = true)]
async fn the_link_is_down_when_its_loss_ends_a_call() {
    let host = Host::new().await;
    let switch = host.add(probe).await;
    let woken = Arc::new(Woken(host.engine.link_state("probe").unwrap(), Mutex::default()));
    let mut call = Box::pin(host.local.call::<Value>("probe", "slow", (5000, 1)));
    assert!(call.as_mut().poll(&mut Context::from_waker(&Arc::clone(&woken).into())).is_pending());
    settle().await;
    switch.refuse_connections(true);
    switch.cut();
    settle().await;
    assert_eq!(*woken.1.lock().unwrap(), [false]);
    assert!(matches!(call.await, Err(CallError::LinkLost(_))));
}

/// A subscriber that is disconnected, the events meanwhile, and its next link.
async fn through_an_outage(kept: usize, events: std::ops::Range<i64>) -> (Host, Peer, Vec<Value>) {
    let host = Host::new().await;
    let options = PluginOptions::default().queue(short_queue(kept));
    let (mut peer, mut peers) = host.add_scripted_with(options, "far", &[], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    peer.close();
    settle().await;
    for number in events {
        host.local.emit("e", (number,)).await.unwrap();
    }
    let mut peer = peers.next().await;
    peer.answer_handshake(&[], false).await;
    let received = peer.all().await.into_iter().map(|event| event["payload"][0].clone()).collect();
    (host, peer, received)
}

#[tokio::test(start_paused = true)]
async fn subscriptions_survive_an_outage_and_missed_events_are_delivered() {
    let (host, mut peer, received) = through_an_outage(10, 0..3).await;
    assert_eq!(received, [0, 1, 2]);
    host.local.emit("e", (3,)).await.unwrap();
    assert_eq!(peer.recv().await["payload"], json!([3]));
    assert!(peer.all().await.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_newest_events_are_kept_during_an_outage() {
    let (_host, _peer, received) = through_an_outage(4, 0..10).await;
    assert_eq!(received, [6, 7, 8, 9]);
}

#[tokio::test(start_paused = true)]
async fn resubscribing_after_an_outage_duplicates_nothing() {
    let (host, mut peer, _) = through_an_outage(4, 0..0).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    host.local.emit("e", (1,)).await.unwrap();
    assert_eq!(peer.all().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_link_without_a_handshake_response_is_retried() {
    let host = Host::new().await;
    let options = PluginOptions::default().handshake_timeout(Duration::from_secs(1));
    let (mut peer, mut peers) = host.add_scripted_with(options, "far", &["m"], false).await;
    let state = host.engine.link_state("far").unwrap();
    peer.close();
    let mut silent = peers.next().await;
    silent.recv().await;
    let mut peer = peers.next().await;
    assert!(silent.has_ended() && !state.borrow().is_up());
    peer.answer_handshake(&["m"], false).await;
    assert!(state.borrow().is_up());
}

#[tokio::test(start_paused = true)]
async fn the_profile_is_updated_after_a_reconnect() {
    let host = Host::new().await;
    let (mut peer, mut peers) = host.add_scripted("far", &["old"], false).await;
    peer.close();
    let mut peer = peers.next().await;
    peer.answer_handshake(&["new"], false).await;
    host.assert_calls_reach(&mut peer, "far", "new").await;
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_does_not_read_is_closed_as_too_slow_without_affecting_others() {
    let (host, notes) = (Host::new().await, Notes::default());
    let options = PluginOptions::default().queue(short_queue(16));
    let (peer, _peers) = host.add_scripted_with(options, "slow", &[], false).await;
    let listener = host.engine.register(Plugin::new("listener")).unwrap();
    host.engine.manager().activate("listener").await.unwrap();
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    listener.on("local", "e", notes.listener()).unwrap();
    let mut state = host.engine.link_state("slow").unwrap();
    state.mark_unchanged();
    for number in 0..64 + 16 + 1 {
        soon(host.local.emit("e", (number,))).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(state.borrow().is_up(), "it has ten seconds");
    tokio::time::sleep(Duration::from_secs(2)).await;
    let now = state.borrow_and_update().clone();
    assert!(matches!(&now, LinkState::Down { why, .. } if why.to_string().starts_with("too slow")), "{now}");
    assert_eq!(notes.take().len(), 81);
}

#[tokio::test(start_paused = true)]
async fn a_slow_link_is_closed_at_once_when_calls_exceed_the_hard_limit() {
    let host = Host::new().await;
    let options = PluginOptions::default().queue(short_queue(16).max_messages(100)).concurrency(1000);
    let (peer, _peers) = host.add_scripted_with(options, "slow", &["m"], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    let state = host.engine.link_state("slow").unwrap();
    for number in 0..300 {
        host.local.emit("e", (number,)).await.unwrap();
    }
    settle().await;
    assert!(state.borrow().is_up(), "events are dropped instead");
    let _calls: Vec<_> = (0..99).map(|_| host.start::<()>("slow", "m", ())).collect();
    settle().await;
    assert!(state.borrow().is_up(), "calls displace events");
    let _calls: Vec<_> = (0..3).map(|_| host.start::<()>("slow", "m", ())).collect();
    settle().await;
    assert!(!state.borrow().is_up());
}

#[tokio::test(start_paused = true)]
async fn a_plugins_emit_waits_while_its_link_is_full() {
    let config = ClientConfig::default().queue(short_queue(4));
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), config, true).await;
    let emitter = tokio::spawn(async move {
        for number in 0..100 {
            client.emit("e", (number,)).await.unwrap();
        }
    });
    // Far longer than the stall timeout of a peer: a plugin waits for its own link without that limit.
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(!emitter.is_finished());
    for number in 0..100 {
        assert_eq!(engine.recv().await["payload"], json!([number]));
    }
    soon(emitter).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn operations_waiting_at_a_full_link_end_with_it() {
    let config = ClientConfig::default().queue(short_queue(1));
    let (client, mut engine) = plugin_with_scripted_engine(Plugin::new("p"), config, true).await;
    let emitter = tokio::spawn(async move {
        loop {
            if let Err(error) = client.emit("e", ()).await {
                return error;
            }
        }
    });
    settle().await;
    engine.close();
    assert!(matches!(soon(emitter).await.unwrap(), CallError::LinkLost(_)));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_link_ends_calls_and_refuses_new_ones() {
    let (mut peer, link) = crate::scripted_peer::scripted_link();
    let (client, link) = connect(link, Plugin::new("p"), ClientConfig::default());
    let link = tokio::spawn(link);
    peer.perform_handshake("p", true).await;
    let caller = client.clone();
    let call = tokio::spawn(async move { caller.call::<()>("x", "y", ()).await });
    settle().await;
    link.abort();
    assert!(matches!(soon(call).await.unwrap(), Err(CallError::LinkLost(_))));
    assert!(matches!(client.call::<()>("x", "y", ()).await, Err(CallError::LinkLost(_))));
    assert!(matches!(client.emit("e", ()).await, Err(CallError::LinkLost(_))));
    assert!(matches!(client.on("x", "e", || ()), Err(CallError::LinkLost(_))));
    assert!(client.onload().await.is_err());
    peer.all().await;
    assert!(peer.has_ended());
}

/// Its announcements are as rare as its links.
#[tokio::test(start_paused = true)]
async fn a_peer_that_ends_each_link_is_dialled_ever_more_slowly_until_a_link_lasts() {
    let (host, notes) = (Host::new().await, Notes::default());
    let (mut peer, mut peers) = host.add_scripted("brief", &[], false).await;
    host.local.on("manager", "linkUp", notes.listener()).unwrap();
    let (began, mut links) = (Instant::now(), 0);
    // With the first delay there would be 2,400.
    while began.elapsed() < Duration::from_secs(60) {
        peer.close();
        peer = peers.next().await;
        peer.answer_handshake(&[], false).await;
        links += 1;
    }
    assert!((60..240).contains(&links), "{links}");
    assert_eq!(notes.take().len(), links);
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let began = Instant::now();
        peer.close();
        peer = peers.next().await;
        assert!(began.elapsed() <= Duration::from_millis(51), "{:?}", began.elapsed());
        peer.answer_handshake(&[], false).await;
    }
}

/// The link stops accepting before its queue is full, and events arrive one at a time.
#[tokio::test(start_paused = true)]
async fn a_plugin_that_stopped_reading_is_detected_even_if_its_queue_fills_slowly() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("slow", &[], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "tick"}));
    settle().await;
    let state = host.engine.link_state("slow").unwrap();
    for _ in 0..2000 {
        host.local.emit("tick", ()).await.unwrap();
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert!(!state.borrow().is_up());
    assert!(peer.has_ended());
}

/// With callbacks kept across links (as in the published packages) and without.
#[tokio::test(start_paused = true)]
async fn a_new_link_may_turn_a_one_time_subscription_into_a_lasting_one() {
    let host = Host::new().await;
    let (mut peer, mut peers) = host.add_subscriber("once").await;
    peer.close();
    let mut peer = peers.next().await;
    peer.answer_handshake(&[], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    // A lasting subscription is not shortened by a later one-time one.
    peer.send(json!({"action": "once", "name": "local", "key": "e"}));
    settle().await;
    for number in 1..=3 {
        host.local.emit("e", (number,)).await.unwrap();
    }
    let received: Vec<_> = peer.all().await.into_iter().map(|event| event["payload"][0].clone()).collect();
    assert_eq!(received, [1, 2, 3]);

    let (notes, sessions) = (Notes::default(), Arc::new(std::sync::atomic::AtomicUsize::new(0)));
    let noted = notes.clone();
    let switch = host
        .add(move || {
            let (notes, sessions) = (noted.clone(), sessions.clone());
            Plugin::new("native").on_activation(move |client| {
                match sessions.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                    0 => client.once("local", "f", |_: i64| {}).unwrap(),
                    _ => client.on("local", "f", notes.listener()).unwrap(),
                }
                std::future::ready(())
            })
        })
        .await;
    settle().await;
    switch.cut();
    tokio::time::sleep(HEALED).await;
    for number in 1..=3 {
        host.local.emit("f", (number,)).await.unwrap();
    }
    settle().await;
    assert_eq!(notes.take(), [json!([1]), json!([2]), json!([3])]);
}
