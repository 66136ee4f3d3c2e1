//! State changes that overlap, lose their requester, or wait for each other.

use std::sync::Arc;
use std::time::Duration;

use connector_core::{
    ActivateError, CallError, Context, Engine, LinkState, Plugin, PluginClient, PluginOptions, Policy, Profile,
    async_trait,
};
use futures_util::future::BoxFuture;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::{Host, Notes, permissive_host as host, settle, soon};

/// A hook that records its start, does some work, and records the outcome.
fn noting<F>(
    notes: &Notes,
    what: &'static str,
    work: impl Fn(PluginClient) -> F + Send + Sync + 'static,
) -> impl Fn(PluginClient) -> BoxFuture<'static, ()> + Send + Sync + 'static
where
    F: Future<Output = Result<(), String>> + Send + 'static,
{
    let notes = notes.clone();
    move |client| {
        let (notes, work) = (notes.clone(), work(client));
        notes.add(format!("{what} begins"));
        Box::pin(async move {
            let ended = work.await;
            notes.add(format!("{what} ends: {ended:?}"));
        })
    }
}

async fn ask(client: PluginClient, method: &'static str, name: &'static str) -> Result<(), String> {
    client.call::<()>("manager", method, (name,)).await.map_err(|error| error.to_string())
}

#[tokio::test(start_paused = true)]
async fn deactivating_during_an_activation_ends_the_activation() {
    let host = host().await;
    let (activated, mut peer, mut peers) = host.start_scripted("far").await;
    let manager = host.engine.manager();
    let shake = peer.recv().await;
    soon(manager.deactivate("far")).await.unwrap();
    let error = soon(activated).await.unwrap().unwrap_err();
    assert!(matches!(error, ActivateError::Interrupted(_)), "{error:?}");
    assert!(peer.has_ended());
    peer.answer(&shake, json!(["m"]));
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert!(!manager.is_active("far") && peers.none());
    assert!(matches!(*host.engine.link_state("far").unwrap().borrow(), LinkState::Inactive));
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_deactivation_reverses_a_pending_activation() {
    for way in ["manager", "call", "remove", "shutdown"] {
        for linked in [false, true] {
            let (host, notes) = (host().await, Notes::default());
            let go = Arc::new(Notify::new());
            let (on, off, waits) = (notes.clone(), notes.clone(), go.clone());
            let plugin = Plugin::new("p")
                .on_activation(move |_| {
                    let (on, waits) = (on.clone(), waits.clone());
                    async move {
                        on.add("on begins");
                        waits.notified().await;
                        on.add("on");
                    }
                })
                .on_deactivation(move |_| {
                    off.add("off");
                    async {}
                });
            let mut peers = None;
            match linked {
                true => peers = Some(host.register_scripted("p", PluginOptions::default())),
                false => drop(host.engine.register(plugin).unwrap()),
            }
            let activated = host.start_activation("p");
            settle().await;
            let (engine, local) = (host.engine.clone(), host.local.clone());
            let ended = tokio::spawn(async move {
                match way {
                    "manager" => engine.manager().deactivate("p").await.unwrap(),
                    "call" => local.call::<()>("manager", "deactivatePlugin", ("p",)).await.unwrap(),
                    "remove" => engine.remove("p").await,
                    _ => engine.shutdown().await,
                }
            });
            settle().await;
            go.notify_one();
            // A plugin that may be asked for agreement gets a second to answer.
            tokio::time::timeout(Duration::from_secs(3), ended).await.expect(way).unwrap();
            let activated = soon(activated).await.unwrap();
            assert_eq!(activated.is_err(), linked, "{way}, linked: {linked}");
            assert!(!host.engine.manager().is_active("p"), "{way}, linked: {linked}");
            if !linked {
                assert_eq!(notes.take(), ["on begins", "on", "off"], "{way}");
            }
            assert_eq!(host.engine.is_registered("p"), way != "remove");
            drop(peers);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugin_that_deactivates_itself_in_its_activation_hook_ends_up_inactive() {
    let (host, notes) = (host().await, Notes::default());
    let own = |client| ask(client, "deactivatePlugin", "p");
    let off = notes.clone();
    let plugin = Plugin::new("p").on_activation(noting(&notes, "on", own)).on_deactivation(move |_| {
        off.add("off");
        async {}
    });
    host.engine.register(plugin).unwrap();
    soon(host.engine.manager().activate("p")).await.unwrap();
    settle().await;
    assert_eq!(notes.take(), ["on begins", "on ends: Ok(())", "off"]);
    assert!(!host.engine.manager().is_active("p"));
}

#[tokio::test(start_paused = true)]
async fn lifecycle_work_finishes_although_its_callers_link_closes() {
    let host = host().await;
    for name in ["one", "two"] {
        host.engine.register(Plugin::new(name)).unwrap();
        host.engine.manager().activate(name).await.unwrap();
    }
    // Each takes time to agree.
    let (mut slow, _slows) = host.add_scripted("slow", &["canDeactivate"], false).await;
    let (peer, _peers) = host.add_scripted("far", &[], false).await;
    let names = json!([["far", "one", "slow", "two"]]);
    peer.send(json!({"action": "request", "id": 1, "name": "manager", "key": "deactivatePlugin", "payload": names}));
    let asked = slow.recv().await;
    settle().await;
    assert!(!host.engine.manager().is_active("far"));
    slow.answer(&asked, json!(true));
    settle().await;
    let left: Vec<_> = host.engine.manager().active_profiles().into_iter().map(|profile| profile.name).collect();
    assert_eq!(left.len(), 2, "{left:?}: the manager and local");
}

#[tokio::test(start_paused = true)]
async fn a_linked_plugin_may_trigger_an_engine_shutdown() {
    let (host, notes) = (host().await, Notes::default());
    let engine = host.engine.clone();
    let closer = Plugin::new("closer").method("close", move || {
        let engine = engine.clone();
        async move { engine.shutdown().await }
    });
    host.engine.register(closer).unwrap();
    let off = notes.clone();
    let slow = Plugin::new("slow").on_deactivation(move |_| {
        let off = off.clone();
        async move {
            tokio::time::sleep(Duration::from_secs(3)).await;
            off.add("off");
        }
    });
    host.engine.register(slow).unwrap();
    host.engine.manager().activate("slow").await.unwrap();
    let (peer, _peers) = host.add_scripted("far", &[], false).await;
    peer.send(json!({"action": "request", "id": 1, "name": "closer", "key": "close", "payload": []}));
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(notes.take(), ["off"]);
    for name in ["far", "slow", "closer", "local"] {
        assert!(!host.engine.manager().is_active(name), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_plugin_receives_the_response_to_its_own_deactivation_before_its_link_closes() {
    let host = host().await;
    let (mut peer, _peers) = host.add_scripted("far", &[], false).await;
    peer.send(json!({"action": "request", "id": 1, "name": "manager", "key": "deactivatePlugin", "payload": ["far"]}));
    let answer = peer.recv().await;
    assert_eq!((&answer["id"], answer.get("error")), (&json!(1), None), "{answer}");
    settle().await;
    assert!(peer.has_ended() && !host.engine.manager().is_active("far"));
}

/// Two plugins whose hooks change each other's state, or one that changes its own, in all combinations.
#[tokio::test(start_paused = true)]
async fn hooks_that_change_each_others_state_complete_at_once() {
    #[derive(Clone, Copy, PartialEq)]
    enum How {
        Call,
        HostsHandle,
    }
    for how in [How::Call, How::HostsHandle] {
        for (first, second) in [("activate", "activate"), ("deactivate", "deactivate"), ("deactivate", "activate")] {
            for (a, b) in [("a", "b"), ("a", "a")] {
                let (host, notes) = (host().await, Notes::default());
                let change = |engine: &Engine, what: &'static str, name: &'static str| {
                    let manager = engine.manager();
                    move |client: PluginClient| {
                        let manager = manager.clone();
                        async move {
                            match (how, what) {
                                (How::Call, "activate") => ask(client, "activatePlugin", name).await,
                                (How::Call, _) => ask(client, "deactivatePlugin", name).await,
                                (_, "activate") => manager.activate(name).await.map_err(|error| error.to_string()),
                                (_, _) => manager.deactivate(name).await.map_err(|error| error.to_string()),
                            }
                        }
                    }
                };
                let mut one = Plugin::new("a");
                let mut other = Plugin::new("b");
                match first {
                    "activate" => {
                        one = one.on_activation(noting(&notes, "a", change(&host.engine, second, b)));
                        other = other.on_activation(noting(&notes, "b", change(&host.engine, second, a)));
                    }
                    _ => {
                        one = one.on_deactivation(noting(&notes, "a", change(&host.engine, second, b)));
                        other = other.on_deactivation(noting(&notes, "b", change(&host.engine, second, a)));
                    }
                }
                host.engine.register(one).unwrap();
                host.engine.register(other).unwrap();
                let began = Instant::now();
                let manager = host.engine.manager();
                soon(manager.activate("a")).await.unwrap();
                if first == "deactivate" {
                    soon(manager.activate("b")).await.unwrap();
                    soon(manager.deactivate("a")).await.unwrap();
                }
                settle().await;
                assert!(began.elapsed() < Duration::from_secs(1));
                let notes = notes.take();
                let ended = notes.iter().filter(|note| note.as_str().unwrap().contains("ends")).count();
                assert_eq!(ended * 2, notes.len(), "{notes:?}");
                assert_eq!(manager.is_active("a"), first == "activate", "{first} {second} {b}: {notes:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_hook_may_call_a_plugin_that_waits_for_the_hook() {
    let host = host().await;
    // b's method waits for a's activation, whose hook calls b, which is busy with that method.
    let b = Plugin::new("b")
        .method(
            "start",
            |ctx: Context| async move { ctx.client().call::<()>("manager", "activatePlugin", ("a",)).await },
        )
        .method("ping", || async { "pong" });
    host.engine.register(b).unwrap();
    let a = Plugin::new("a").method("get", || async { 1 }).on_activation(|client| async move {
        assert_eq!(client.call::<String>("b", "ping", ()).await.unwrap(), "pong")
    });
    host.engine.register(a).unwrap();
    soon(host.local.call::<()>("b", "start", ())).await.unwrap();
    assert!(host.engine.manager().is_active("a"));
    // The same on demand: b's method calls a, which is inactive.
    host.engine.manager().deactivate("a").await.unwrap();
    let c =
        Plugin::new("c").method("start", |ctx: Context| async move { ctx.client().call::<i64>("a", "get", ()).await });
    host.engine.register(c).unwrap();
    assert_eq!(soon(host.local.call::<i64>("c", "start", ())).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_second_activation_joins_the_pending_one_after_its_own_permission() {
    struct NotLocal;
    #[async_trait]
    impl Policy for NotLocal {
        async fn can_activate(&self, from: &Profile, _: &Profile, _: Option<&str>) -> bool {
            from.name != "stranger"
        }
    }
    let host = Host::with(Engine::builder().policy(NotLocal).build()).await;
    let stranger = host.engine.register(Plugin::new("stranger")).unwrap();
    host.engine.manager().activate("stranger").await.unwrap();
    let mut peers = host.register_scripted("far", PluginOptions::default());
    let all: Vec<_> = (0..20)
        .map(|_| {
            let manager = host.engine.manager();
            tokio::spawn(async move { manager.activate("far").await })
        })
        .collect();
    let mut peer = peers.next().await;
    let error = soon(stranger.call::<()>("manager", "activatePlugin", ("far",))).await.unwrap_err();
    assert_eq!(error.to_string(), "Plugin stranger has no right to activate plugin far");
    peer.answer_handshake(&[], false).await;
    for activated in all {
        soon(activated).await.unwrap().unwrap();
    }
    assert!(peers.none(), "one link serves them all");
}

#[tokio::test(start_paused = true)]
async fn concurrent_activations_of_a_dead_plugin_all_fail() {
    let host = host().await;
    let _peers = host.register_scripted("silent", PluginOptions::default());
    let began = Instant::now();
    let all = (0..30).map(|_| host.start::<()>("manager", "activatePlugin", ("silent",)));
    let all: Vec<_> = all.collect();
    host.engine.manager().activate("silent").await.unwrap_err();
    for activated in all {
        activated.await.unwrap().unwrap_err();
    }
    assert!(began.elapsed() <= Duration::from_secs(16), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn calls_in_the_deactivation_hook_may_be_reentrant() {
    let (host, notes) = (host().await, Notes::default());
    let back = |ctx: Context| async move { ctx.client().call::<i64>("a", "one", ()).await };
    host.engine.register(Plugin::new("b").method("back", back)).unwrap();
    let noted = notes.clone();
    let a = Plugin::new("a").method("one", || async { 1 }).on_deactivation(move |client| {
        let notes = noted.clone();
        async move {
            let outcome: Result<i64, CallError> = client.call("b", "back", ()).await;
            notes.add(outcome.unwrap_or(0));
        }
    });
    host.engine.register(a).unwrap();
    host.engine.manager().activate("a").await.unwrap();
    soon(host.engine.manager().deactivate("a")).await.unwrap();
    assert_eq!(notes.take(), [1]);
}
