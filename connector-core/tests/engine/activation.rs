//! Activations, deactivations and removals that overlap, fail, or are abandoned.

use std::sync::Arc;

use connector_core::{
    ClientConfig, ConnectError, Context, Engine, ExternalProfile, Link, Plugin, PluginConnector, PluginOptions,
    Registration, async_trait, connect,
};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::scripted_peer::scripted_link;
use crate::support::{Host, Notes, Undecided, settle, soon};

#[tokio::test(start_paused = true)]
async fn events_kept_for_a_lost_link_are_dropped_at_deactivation() {
    let host = Host::new().await;
    let (mut peer, mut peers) = host.add_subscriber("on").await;
    peer.close();
    settle().await;
    host.local.emit("e", ("stale",)).await.unwrap();
    host.engine.manager().deactivate("far").await.unwrap();
    while !peers.none() {}
    let activated = host.start_activation("far");
    let mut peer = peers.next().await;
    peer.answer_handshake(&[], false).await;
    activated.await.unwrap().unwrap();
    assert_eq!(peer.all().await, Vec::<Value>::new(), "its subscriptions have ended");
}

#[tokio::test(start_paused = true)]
async fn a_linked_plugin_may_remove_itself() {
    let host = Host::new().await;
    let engine = host.engine.clone();
    let remover = Plugin::new("remover").method("remove", move |name: String| {
        let engine = engine.clone();
        async move { engine.remove(&name).await }
    });
    host.engine.register(remover).unwrap();
    let (peer, _peers) = host.add_scripted("far", &[], true).await;
    peer.send(json!({"action": "request", "id": 1, "name": "remover", "key": "remove", "payload": ["far"]}));
    settle().await;
    assert!(!host.engine.manager().is_active("far"));
    assert!(!host.engine.is_registered("far"));
}

#[tokio::test(start_paused = true)]
async fn a_plugin_removed_during_a_permission_request_is_not_activated() {
    let yes = Arc::new(Notify::new());
    let host = Host::with(Engine::builder().policy(Undecided { about: "far", granted: yes.clone() }).build()).await;
    let mut peers = host.register_scripted("far", PluginOptions::default());
    let activated = host.start_activation("far");
    settle().await;
    host.engine.remove("far").await;
    yes.notify_one();
    settle().await;
    assert!(peers.none(), "a link for a plugin that is gone");
    soon(activated).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_pending_activation_ends_with_the_engine() {
    let host = Host::new().await;
    let (activated, _peer, _peers) = host.start_scripted("far").await;
    drop(host);
    soon(activated).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_panicking_hook_is_an_error_of_its_activation_only() {
    let host = Host::new().await;
    host.engine
        .register(Plugin::new("near").method("m", || async {}).on_activation(|_| async { panic!("in the hook") }))
        .unwrap();
    let (mut peer, _peers) = host.add_scripted("far", &["m"], false).await;
    peer.send(json!({"action": "request", "id": 1, "name": "near", "key": "m", "payload": []}));
    let answer = peer.recv().await;
    assert_eq!(answer["id"], 1);
    assert!(answer["error"].is_string(), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn an_activation_hook_may_call_a_plugin_that_calls_back() {
    let host = Host::new().await;
    host.engine
        .register(
            Plugin::new("b")
                .method("back", |ctx: Context| async move { ctx.client().call::<i64>("a", "one", ()).await }),
        )
        .unwrap();
    let notes = Notes::default();
    let noted = notes.clone();
    let a = Plugin::new("a").method("one", || async { 1 }).on_activation(move |client| {
        let notes = noted.clone();
        async move { notes.add(client.call::<i64>("b", "back", ()).await.unwrap_or(0)) }
    });
    host.engine.register(a).unwrap();
    soon(host.engine.manager().activate("a")).await.unwrap();
    assert_eq!(notes.take(), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_plugins_own_activation_timeout_applies_to_the_manager() {
    let host = Host::new().await;
    let _peers = host.register_scripted("silent", PluginOptions::default());
    let error = host.local.call::<()>("manager", "activatePlugin", ("silent",)).await.unwrap_err();
    assert!(error.to_string().contains("did not answer the handshake"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_deactivation_does_not_leave_the_link_up() {
    let host = Host::new().await;
    let (_peer, _peers) = host.add_scripted("far", &[], true).await;
    let state = host.engine.link_state("far").unwrap();
    let manager = host.engine.manager();
    // Polled once: the link was asked to close, and nothing awaits it.
    drop(futures_util::future::poll_immediate(manager.deactivate("far")).await);
    settle().await;
    assert!(!host.engine.manager().is_active("far") && !state.borrow().is_up(), "{:?}", *state.borrow());
}

#[tokio::test(start_paused = true)]
async fn a_plugin_activated_while_its_link_closes_gets_a_new_link() {
    let host = Host::new().await;
    host.add(|| Plugin::new("far").method("m", || async { 1 })).await;
    let manager = host.engine.manager();
    let (off, on) = soon(futures_util::future::join(manager.deactivate("far"), manager.activate("far"))).await;
    off.unwrap();
    on.unwrap();
    assert_eq!(soon(host.local.call::<i64>("far", "m", ())).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_handshake_is_detected_at_once() {
    let host = Host::new().await;
    let (activated, mut peer, _peers) = host.start_scripted("far").await;
    let ask = peer.recv().await;
    settle().await;
    peer.send(json!({"action": "response", "id": ask["id"], "key": "handshake", "error": "not you"}));
    soon(activated).await.unwrap().unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_was_never_activated_is_not_deactivated() {
    let notes = Notes::default();
    let noted = notes.clone();
    let (mut engine, link) = scripted_link();
    let plugin = Plugin::new("p").on_deactivation(move |_| {
        noted.add("deactivated");
        async {}
    });
    let (_client, link) = connect(link, plugin, ClientConfig::default());
    engine.close();
    soon(link).await;
    assert_eq!(notes.take(), Vec::<Value>::new());
}

/// Never completes an attempt.
struct Unreachable;

#[async_trait]
impl PluginConnector for Unreachable {
    async fn connect(&mut self, _: &str) -> Result<Box<dyn Link>, ConnectError> {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn requests_to_activate_an_unreachable_plugin_share_one_attempt() {
    let host = Host::new().await;
    host.engine.register(Registration::behind(ExternalProfile::new("dead", "nowhere"), Unreachable)).unwrap();
    let mut callers = Vec::new();
    for name in (0..30).map(|n| &*format!("caller{n}").leak()) {
        callers.push(host.add_scripted(name, &[], false).await);
    }
    let began = tokio::time::Instant::now();
    for (peer, _) in &callers {
        for (id, names) in [json!("dead"), json!(["dead", "dead"])].into_iter().enumerate() {
            let request =
                json!({"action": "request", "id": id, "name": "manager", "key": "activatePlugin", "payload": [names]});
            peer.send(request);
        }
        peer.send(json!({"action": "request", "id": 9, "name": "dead", "key": "m", "payload": []}));
    }
    settle().await;
    host.engine.manager().activate("dead").await.unwrap_err();
    assert!(began.elapsed().as_secs() <= 16, "{:?}", began.elapsed());
    for (mut peer, _) in callers {
        let responses = peer.all().await.into_iter().filter(|message| message["action"] == "response");
        assert_eq!(responses.count(), 3, "all have failed with it");
    }
}
