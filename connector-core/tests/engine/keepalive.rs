//! A silent plugin is detected on any transport; one that is busy or sends anything keeps its link.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use connector_core::{CallError, LinkEnd, LinkState, Plugin, PluginOptions};
use serde_json::{Value, json};

use crate::scripted_peer::{Peer, Transport};
use crate::support::{Host, Notes, settle};

/// The default limit for detecting a silent plugin.
const FOUND: Duration = Duration::from_secs(20);

async fn until_down(host: &Host, name: &str, within: Duration) -> LinkEnd {
    let mut state = host.engine.link_state(name).unwrap();
    let down = tokio::time::timeout(within, state.wait_for(|state| matches!(state, LinkState::Down { .. }))).await;
    match &*down.expect("not detected").unwrap() {
        LinkState::Down { why, .. } => LinkEnd::clone(why),
        other => panic!("{other}"),
    }
}

fn is_up(host: &Host, name: &str) -> bool {
    host.engine.link_state(name).unwrap().borrow().is_up()
}

fn answers_handshakes(peer: &Peer, messages: &[Value]) {
    for message in messages.iter().filter(|message| message["key"] == "handshake") {
        peer.answer(message, json!(["echo"]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_plugin_is_detected_by_default() {
    for seconds_of_life in [0, 1, 4, 7, 12, 30] {
        let host = Host::new().await;
        let (mut peer, mut peers) = host.add_scripted("far", &["echo"], false).await;
        for _ in 0..seconds_of_life {
            tokio::time::sleep(Duration::from_secs(1)).await;
            peer.send(json!({"action": "emit", "key": "e", "payload": []}));
        }
        settle().await;
        let end = until_down(&host, "far", FOUND).await;
        assert!(matches!(end, LinkEnd::Silent(time) if time == Duration::from_secs(15)), "{end:?}");
        assert_eq!(peer.all().await.len(), 1, "it is asked once");
        peers.next().await.answer_handshake(&["echo"], false).await;
        assert!(is_up(&host, "far"), "it is dialled again");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stalled_link_is_detected_and_replaced() {
    let host = Host::new().await;
    let switch = host.add(|| Plugin::new("p").method("one", || async { 1 })).await;
    let one = || host.local.call::<i64>("p", "one", ());
    assert_eq!(one().await.unwrap(), 1);
    let notes = Notes::default();
    host.local.on("manager", "linkDown", notes.listener()).unwrap();
    switch.stall();
    tokio::time::sleep(FOUND).await;
    let down = notes.take();
    assert!(down.len() == 1 && down[0][1].as_str().unwrap().starts_with("silent"), "{down:?}");
    assert_eq!(one().await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_idle_responsive_plugin_keeps_its_link_unnoticed() {
    let (host, notes) = (Host::new().await, Notes::default());
    for event in ["profileUpdated", "linkDown", "linkUp", "pluginActivated"] {
        host.local.on("manager", event, notes.listener()).unwrap();
    }
    let activations = Arc::new(AtomicU64::new(0));
    let activated = Arc::clone(&activations);
    let plugin = move || {
        let activated = Arc::clone(&activated);
        Plugin::new("p").method("one", || async { 1 }).on_activation(move |_| {
            activated.fetch_add(1, Ordering::Relaxed);
            async {}
        })
    };
    host.add(plugin).await;
    settle().await;
    notes.take();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(is_up(&host, "p") && notes.take().is_empty());
    assert_eq!(activations.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn any_message_is_a_sign_of_life() {
    let host = Host::new().await;
    let (mut peer, _peers) = host.add_scripted("far", &["echo"], false).await;
    let signs =
        [r#"{"action":"emit","key":"e","payload":[]}"#, "no message at all", r#"{"action":"response","id":77}"#];
    for round in 0..60 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        peer.send_text(signs[round % signs.len()].to_owned());
        assert!(is_up(&host, "far"), "after {round}");
    }
    assert!(peer.all().await.is_empty(), "no probe");
}

/// For example a single-threaded plugin, which cannot respond meanwhile.
#[tokio::test(start_paused = true)]
async fn a_plugin_busy_with_a_call_is_not_silent() {
    let host = Host::new().await;
    let options = PluginOptions::default().queue_timeout(Duration::from_secs(600));
    let (mut peer, _peers) = host.add_scripted_with(options, "far", &["echo"], false).await;
    for _ in 0..3 {
        let call = host.start::<i64>("far", "echo", ());
        let request = peer.recv().await;
        tokio::time::sleep(Duration::from_secs(599)).await;
        assert!(is_up(&host, "far"));
        peer.answer(&request, json!(7));
        assert_eq!(call.await.unwrap().unwrap(), 7);
        let asked = peer.all().await;
        assert_eq!(asked.len(), 1, "{asked:?}");
        answers_handshakes(&peer, &asked);
    }
}

/// The caller has abandoned the call, but the plugin still works on it.
#[tokio::test(start_paused = true)]
async fn a_plugin_busy_with_a_cancelled_call_is_not_silent() {
    let host = Host::new().await;
    let options = PluginOptions::default().queue_timeout(Duration::from_secs(600));
    let (mut peer, _peers) = host.add_scripted_with(options, "far", &["echo"], false).await;
    let call = host.start::<i64>("far", "echo", ());
    let request = peer.recv().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    call.abort();
    tokio::time::sleep(Duration::from_secs(590)).await;
    assert!(is_up(&host, "far"));
    peer.answer(&request, json!(7));
    let asked = peer.all().await;
    answers_handshakes(&peer, &asked);
    tokio::time::sleep(Duration::from_secs(9)).await;
    assert!(is_up(&host, "far"));
}

/// Each call grants time, but repeated calls do not keep a dead plugin alive.
#[tokio::test(start_paused = true)]
async fn a_silent_plugin_is_detected_despite_constant_calls() {
    let host = Host::new().await;
    let (_peer, _peers) = host.add_scripted("far", &["echo"], false).await;
    let local = host.local.clone();
    let calls = tokio::spawn(async move {
        loop {
            match local.call::<i64>("far", "echo", ()).await {
                Err(CallError::TimedOut(_)) => {}
                other => return other,
            }
        }
    });
    let end = until_down(&host, "far", FOUND + Duration::from_secs(15)).await;
    assert!(matches!(end, LinkEnd::Silent(_)), "{end:?}");
    assert!(matches!(calls.await.unwrap(), Err(CallError::LinkLost(_))));
}

/// Events are accepted by the link's buffers, which proves nothing about the plugin.
#[tokio::test(start_paused = true)]
async fn a_silent_plugin_is_detected_despite_outgoing_events() {
    let host = Host::new().await;
    let (peer, _peers) = host.add_scripted("far", &["echo"], false).await;
    peer.send(json!({"action": "on", "name": "local", "key": "e"}));
    settle().await;
    let local = host.local.clone();
    tokio::spawn(async move {
        loop {
            local.emit("e", ()).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let end = until_down(&host, "far", FOUND).await;
    assert!(matches!(end, LinkEnd::Silent(_)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn an_infinite_interval_disables_probes() {
    let host = Host::new().await;
    let options = PluginOptions::default().health_interval(Duration::MAX);
    let (mut peer, _peers) = host.add_scripted_with(options, "far", &["echo"], false).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(is_up(&host, "far") && peer.all().await.is_empty());
}

/// A plugin over a transport that detects silence, or that counts received bytes.
async fn add_reporting(host: &Host, notices_silence: bool, options: PluginOptions) -> (Peer, Arc<AtomicU64>) {
    let transport = Transport { notices_silence, ..Transport::default() };
    let (peer, _peers) = host.add_scripted_over(transport.clone(), options, "far", &["echo"], false).await;
    (peer, transport.received)
}

#[tokio::test(start_paused = true)]
async fn a_transport_with_keepalive_is_not_probed_unless_an_interval_is_set() {
    for set in [false, true] {
        let host = Host::new().await;
        let options = PluginOptions::default();
        let options = if set { options.health_interval(Duration::from_secs(60)) } else { options };
        let (mut peer, _) = add_reporting(&host, true, options).await;
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(peer.all().await.len(), usize::from(set));
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(is_up(&host, "far"), !set);
    }
}

/// A large message takes time to arrive, and delays the messages behind it.
#[tokio::test(start_paused = true)]
async fn received_bytes_are_a_sign_of_life_before_the_message_is_complete() {
    let host = Host::new().await;
    let (mut peer, received) = add_reporting(&host, false, PluginOptions::default()).await;
    for _ in 0..60 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        received.fetch_add(1, Ordering::Relaxed);
        assert!(is_up(&host, "far"));
    }
    assert!(peer.all().await.is_empty());
    let end = until_down(&host, "far", FOUND).await;
    assert!(matches!(end, LinkEnd::Silent(_)), "{end:?}");
}
