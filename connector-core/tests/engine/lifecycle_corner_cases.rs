//! Lifecycle requests in unusual situations: in hooks and methods, by removed plugins, and during permission requests.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use connector_core::{
    ActivateError, CallError, ConnectError, Context, Engine, ExternalProfile, Link, Plugin, PluginClient,
    PluginConnector, PluginOptions, Policy, Profile, Registration, async_trait,
};
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::support::{Host, Notes, permissive_host as host, settle, soon};

#[tokio::test(start_paused = true)]
async fn a_plugin_that_removes_itself_in_its_hook_does_not_deadlock() {
    for activation in [true, false] {
        let host = host().await;
        let engine = host.engine.clone();
        let hook = move |_| {
            let engine = engine.clone();
            async move { engine.remove("p").await }
        };
        let plugin = match activation {
            true => Plugin::new("p").on_activation(hook),
            false => Plugin::new("p").on_deactivation(hook),
        };
        host.engine.register(plugin).unwrap();
        let began = Instant::now();
        let _ = host.engine.manager().activate("p").await;
        let _ = host.engine.manager().deactivate("p").await;
        assert!(began.elapsed() < Duration::from_secs(1), "activation: {activation}: {:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn hooks_that_remove_each_other_complete_at_once() {
    let host = host().await;
    for (name, other) in [("a", "b"), ("b", "a")] {
        let engine = host.engine.clone();
        let plugin = Plugin::new(name).on_deactivation(move |_| {
            let engine = engine.clone();
            async move { engine.remove(other).await }
        });
        host.engine.register(plugin).unwrap();
        host.engine.manager().activate(name).await.unwrap();
    }
    soon(host.engine.manager().deactivate("a")).await.unwrap();
}

/// q's method waits for p's removal; p's deactivation hook activates r through the manager; r's hook calls q.
#[tokio::test(start_paused = true)]
async fn a_removed_plugins_hook_may_activate_a_plugin_that_calls_the_remover() {
    for remove in [false, true] {
        let host = host().await;
        let p = Plugin::new("p").on_deactivation(|client: PluginClient| async move {
            drop(client.call::<()>("manager", "activatePlugin", ("r",)).await)
        });
        let r = Plugin::new("r").on_activation(|client| async move { drop(client.call::<i64>("q", "one", ()).await) });
        let engine = host.engine.clone();
        let q = Plugin::new("q").method("one", || async { 1 }).method("go", move || {
            let engine = engine.clone();
            async move {
                match remove {
                    true => engine.remove("p").await,
                    false => drop(engine.manager().deactivate("p").await),
                }
            }
        });
        for plugin in [p, r, q] {
            host.engine.register(plugin).unwrap();
        }
        host.engine.manager().activate("p").await.unwrap();
        let began = Instant::now();
        let outcome = host.local.call::<()>("q", "go", ()).await;
        assert!(began.elapsed() < Duration::from_secs(1), "remove: {remove}: {:?} {outcome:?}", began.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn no_method_runs_in_an_inactive_plugin() {
    let (host, notes, go) = (host().await, Notes::default(), Arc::new(Notify::new()));
    let (noted, waits) = (notes.clone(), go.clone());
    let p = Plugin::new("p")
        .on_activation(move |_| {
            let waits = waits.clone();
            async move { waits.notified().await }
        })
        .method("m", move |ctx: Context| {
            let noted = noted.clone();
            async move { noted.add(format!("{:?}", ctx.client().emit("e", ()).await.map_err(|e| e.to_string()))) }
        });
    host.engine.register(p).unwrap();
    // Called before its hook starts: calls during the hook are admitted.
    let manager = host.engine.manager();
    let other = host.engine.clone();
    let call = host.start::<()>("p", "m", ());
    tokio::task::yield_now().await;
    let off = tokio::spawn(async move { manager.deactivate("p").await });
    tokio::task::yield_now().await;
    go.notify_one();
    let _ = soon(off).await.unwrap();
    let outcome = soon(call).await.unwrap().map_err(|error| error.to_string());
    settle().await;
    let ran = notes.take();
    assert!(
        ran.is_empty() || other.manager().is_active("p") || ran == ["Ok(())"],
        "it ran while inactive: {ran:?}, outcome {outcome:?}"
    );
}

struct AsksTheUser;

#[async_trait]
impl Policy for AsksTheUser {
    async fn can_activate(&self, _: &Profile, to: &Profile, _: Option<&str>) -> bool {
        if to.name == "p" {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        true
    }
}

#[tokio::test(start_paused = true)]
async fn a_deactivation_during_a_permission_request_is_not_lost() {
    let mut wrong = Vec::new();
    for begun in ["manager", "call"] {
        for way in ["deactivate", "shutdown"] {
            let host = Host::with(Engine::builder().policy(AsksTheUser).build()).await;
            host.engine.register(Plugin::new("p").method("m", || async {})).unwrap();
            let manager = host.engine.manager();
            match begun {
                "manager" => drop(tokio::spawn(async move { manager.activate("p").await })),
                _ => drop(host.start::<()>("p", "m", ())),
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
            match way {
                "deactivate" => host.engine.manager().deactivate("p").await.unwrap(),
                _ => host.engine.shutdown().await,
            }
            tokio::time::sleep(Duration::from_secs(20)).await;
            if host.engine.manager().is_active("p") {
                wrong.push((begun, way));
            }
        }
    }
    assert!(wrong.is_empty(), "active after all: {wrong:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_calls_another_leaves_nothing_active_after_a_shutdown() {
    let host = host().await;
    host.add(|| Plugin::new("far").method("save", || async {})).await;
    let p = Plugin::new("p").on_deactivation(|client: PluginClient| async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        drop(client.call::<()>("far", "save", ()).await);
    });
    host.engine.register(p).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    host.engine.shutdown().await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let left: Vec<_> = host.engine.manager().active_profiles().into_iter().map(|profile| profile.name).collect();
    assert_eq!(left, ["manager"]);
}

#[derive(Clone)]
struct CallsBack(Option<PluginClient>);

impl Serialize for CallsBack {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(1)
    }
}

impl Drop for CallsBack {
    fn drop(&mut self) {
        if let Some(client) = &self.0 {
            let _ = client.on("p", "tick", |_: i64| {});
        }
    }
}

fn without_deadlock(work: impl Future<Output = ()> + Send + 'static) {
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(work);
        tell.send(()).unwrap();
    });
    told.recv_timeout(Duration::from_secs(5)).expect("a lock is held while a value is dropped");
}

async fn remembers(host: &Host) {
    let p = host.engine.register(Plugin::new("p")).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    host.local.on("p", "tick", |_: i64| {}).unwrap();
    p.emit("tick", (CallsBack(Some(host.local.clone())),)).await.unwrap();
}

#[test]
fn a_stored_value_may_use_the_engine_when_dropped_by_a_deactivation() {
    without_deadlock(async {
        let host = host().await;
        remembers(&host).await;
        host.engine.manager().deactivate("p").await.unwrap();
    });
}

#[test]
fn a_stored_value_may_use_the_engine_when_dropped_with_it() {
    without_deadlock(async {
        let host = host().await;
        remembers(&host).await;
        drop(host.engine);
    });
}

struct Bad(bool);

#[async_trait]
impl PluginConnector for Bad {
    async fn connect(&mut self, _: &str) -> Result<Box<dyn Link>, ConnectError> {
        Err(ConnectError::Refused("no".to_owned()))
    }

    fn activated(&mut self) {
        assert!(!self.0, "activated panics");
    }

    fn registered(&mut self, _: &str) {
        assert!(self.0, "registered panics");
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_connectors_activated_hook_names_the_connector() {
    let host = host().await;
    host.engine.register(Registration::behind(ExternalProfile::new("bad", "x:"), Bad(true))).unwrap();
    let error = soon(host.engine.manager().activate("bad")).await.unwrap_err();
    assert!(!matches!(error, ActivateError::EngineGone), "{error}: the engine still exists");
}

struct SyncPanic;

impl Policy for SyncPanic {
    fn can_activate<'s, 'f, 't, 'm, 'r>(
        &'s self,
        _: &'f Profile,
        to: &'t Profile,
        _: Option<&'m str>,
    ) -> Pin<Box<dyn Future<Output = bool> + Send + 'r>>
    where
        's: 'r,
        'f: 'r,
        't: 'r,
        'm: 'r,
        Self: 'r,
    {
        assert!(to.name != "p", "no");
        Box::pin(std::future::ready(true))
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_manually_implemented_policy_counts_as_no() {
    let host = Host::with(Engine::builder().policy(SyncPanic).build()).await;
    host.engine.register(Plugin::new("p").method("m", || async {})).unwrap();
    let (manager, local) = (host.engine.manager(), host.local.clone());
    let outcome = tokio::spawn(async move { manager.activate("p").await.is_err() }).await;
    let call = tokio::spawn(async move { local.call::<()>("p", "m", ()).await.is_err() }).await;
    assert!(matches!((&outcome, &call), (Ok(true), Ok(true))), "{outcome:?} {call:?}");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_with_one_unanswered_handshake_is_still_probed_before_its_link_ends() {
    let host = host().await;
    let mut peers = host.register_scripted("far", PluginOptions::default().health_interval(Duration::from_secs(10)));
    let activated = host.start_activation("far");
    let mut peer = peers.next().await;
    peer.send(json!({"action": "request", "id": -1, "key": "handshake"}));
    settle().await;
    peer.answer_handshake(&["echo"], false).await;
    activated.await.unwrap().unwrap();
    let _second = peer.recv().await;
    // It answers every request from here on.
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for asked in peer.all().await {
            peer.answer(&asked, json!(["echo"]));
        }
        assert!(!peer.has_ended(), "given up without having been probed");
    }
}

/// Nested calls are polled inside each other, so their depth must be bounded.
#[test]
fn a_deep_chain_of_calls_fails_without_a_stack_overflow() {
    let relay = |name: &'static str, other: &'static str| {
        Plugin::new(name).method("down", move |ctx: Context, depth: u32| async move {
            match depth {
                0 => Ok::<u32, CallError>(0),
                _ => ctx.client().call(other, "down", (depth - 1,)).await,
            }
        })
    };
    let chains = async move {
        let host = host().await;
        host.engine.register(relay("a", "b")).unwrap();
        host.engine.register(relay("b", "a")).unwrap();
        let (peer, _peers) = host.add_scripted("far", &[], false).await;
        for depth in [10, 100, 300, 1000, 3000, 10_000] {
            peer.send(json!({"action": "request", "id": depth, "name": "a", "key": "down", "payload": [depth]}));
            settle().await;
        }
    };
    // Of the 2 MiB that threads have by default, a quarter is left for what methods do.
    let thread = std::thread::Builder::new().stack_size(3 << 19).spawn(move || {
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(chains);
    });
    thread.unwrap().join().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_plugin_busy_with_an_unlimited_call_is_not_silent() {
    for limit in [Duration::from_secs(3600), Duration::MAX] {
        let host = host().await;
        let options = PluginOptions::default().queue_timeout(limit);
        // A published, single-threaded plugin: it answers nothing while it works.
        let (mut peer, _peers) = host.add_scripted_with(options, "far", &["work"], false).await;
        let call = host.start::<i64>("far", "work", ());
        let asked = peer.recv().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        peer.answer(&asked, json!(1));
        let outcome = soon(call).await.unwrap();
        assert!(outcome.is_ok(), "limit {limit:?}: {outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removed_plugin_cannot_act_for_its_successor() {
    // With the published defaults, a plugin may only change itself.
    let (host, go, notes) = (Host::new().await, Arc::new(Notify::new()), Notes::default());
    let (waits, noted) = (go.clone(), notes.clone());
    let old = Plugin::new("p").on_deactivation(move |client: PluginClient| {
        let (waits, noted) = (waits.clone(), noted.clone());
        async move {
            waits.notified().await;
            let update = json!({"displayName": "taken over"});
            let updated = client.call::<()>("manager", "updateProfile", (update,)).await;
            let off = client.call::<()>("manager", "deactivatePlugin", ("p",)).await;
            noted.add(format!("{:?} {:?}", updated.is_ok(), off.is_ok()));
        }
    });
    host.engine.register(old).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    let engine = host.engine.clone();
    let removed = tokio::spawn(async move { engine.remove("p").await });
    settle().await;
    host.engine.register(Plugin::new("p")).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    go.notify_one();
    soon(removed).await.unwrap();
    let profile = json!(host.engine.manager().profile("p").unwrap());
    assert!(
        host.engine.manager().is_active("p") && profile["displayName"] != "taken over",
        "{profile} active: {}, {:?}",
        host.engine.manager().is_active("p"),
        notes.take()
    );
}

#[tokio::test(start_paused = true)]
async fn a_pending_activation_is_abandoned_even_if_the_plugin_listed_can_deactivate() {
    let host = host().await;
    let (activated, mut peer, mut peers) = host.start_scripted("far").await;
    let manager = host.engine.manager();
    peer.answer_handshake(&["canDeactivate"], false).await;
    activated.await.unwrap().unwrap();
    manager.deactivate("far").await.unwrap();
    let activated = host.start_activation("far");
    let _silent = peers.next().await;
    let began = Instant::now();
    let outcome = host.local.call::<Value>("manager", "deactivatePlugin", ("far",)).await;
    assert!(
        outcome.is_ok() && began.elapsed() < Duration::from_secs(2),
        "{:?} {outcome:?}; the activation: {:?}",
        began.elapsed(),
        activated.await.unwrap()
    );
}
