//! Panics in hooks, rules and factories are contained.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use conformance::{memory, traces};
use connector_core::{
    ClientConfig, Engine, ExternalProfile, LinkEnd, Plugin, Policy, Profile, Registration, UpdateError, async_trait,
    connect, serve,
};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tracing::Level;

use crate::scripted_peer::scripted_link;
use crate::support::{Host, Notes, settle, soon};

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_deactivation_hook_does_not_stop_the_deactivation() {
    let (host, notes) = (Host::new().await, Notes::default());
    let off = notes.clone();
    let fine = Plugin::new("fine").on_deactivation(move |_| {
        off.add("off");
        async {}
    });
    let late = Plugin::new("late").on_deactivation(|_| async {
        tokio::task::yield_now().await;
        panic!("late")
    });
    let early = Plugin::new("early").on_deactivation(|_| -> std::future::Ready<()> { panic!("early") });
    for plugin in [early, fine, late] {
        let name = plugin.name().to_owned();
        host.engine.register(plugin).unwrap();
        host.engine.manager().activate(&name).await.unwrap();
    }
    let traces = traces(Level::ERROR);
    soon(host.engine.manager().deactivate("early")).await.unwrap();
    assert!(!host.engine.manager().is_active("early"));
    soon(host.engine.shutdown()).await;
    assert_eq!(notes.take(), ["off"]);
    let lines = traces.containing("the deactivation hook panicked");
    assert!(lines.len() == 2, "{:?}", traces.lines());
    for (line, name) in lines.iter().zip(["early", "late"]) {
        assert!(line.contains(&format!("plugin={name:?}")) && line.contains(&format!("panic={name} ")), "{line}");
    }
    assert_eq!(host.engine.manager().active_profiles().len(), 1, "only the manager");
}

/// Behind a link the hook runs at the plugin's end once the link has ended, whether the engine deactivates the plugin, the
/// plugin's program stops, or the link is cut.
#[tokio::test(start_paused = true)]
async fn a_panic_in_a_linked_plugins_deactivation_hook_is_contained() {
    for how in ["deactivated", "stopped", "cut"] {
        let (connector, accepts, switch) = memory();
        let host = Host::new().await;
        host.engine.register(Registration::behind(ExternalProfile::new("far", "memory://"), connector)).unwrap();
        let factory = || Plugin::new("far").method("m", || async { 1 }).on_deactivation(|_| async { panic!("off") });
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(serve(accepts, factory, ClientConfig::default()).until(stopped));
        host.engine.manager().activate("far").await.unwrap();
        assert_eq!(soon(host.local.call::<i64>("far", "m", ())).await.unwrap(), 1);
        let traces = traces(Level::ERROR);
        match how {
            "deactivated" => soon(host.engine.manager().deactivate("far")).await.unwrap(),
            "stopped" => stop.send(()).unwrap(),
            _ => switch.cut(),
        }
        settle().await;
        let lines = traces.lines();
        assert!(lines.len() == 1 && lines[0].contains("the deactivation hook panicked"), "{how}: {lines:?}");
        assert!(lines[0].contains("plugin=\"far\"") && lines[0].contains("panic=off "), "{how}: {lines:?}");
        match how {
            "deactivated" => assert!(!host.engine.manager().is_active("far")),
            "stopped" => assert!(matches!(soon(serving).await.unwrap(), LinkEnd::Disconnected)),
            _ => {}
        }
        if how != "stopped" {
            // The program serves the next link.
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(soon(host.local.call::<i64>("far", "m", ())).await.unwrap(), 1, "{how}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_activation_hook_fails_that_activation() {
    let host = Host::new().await;
    let early = Plugin::new("p").on_activation(|_| -> std::future::Ready<()> { panic!("early") });
    host.engine.register(early).unwrap();
    let error = soon(host.engine.manager().activate("p")).await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
    assert!(!host.engine.manager().is_active("p"));
}

/// Panics in every decision.
struct Panics;

#[async_trait]
impl Policy for Panics {
    async fn can_activate(&self, from: &Profile, _: &Profile, _: Option<&str>) -> bool {
        assert!(from.name == "manager", "no idea");
        true
    }
    async fn can_deactivate(&self, _: &Profile, _: &Profile) -> bool {
        panic!("no idea")
    }
    async fn can_update_profile(&self, _: &Profile, _: &Profile, _: &Map<String, Value>) -> Result<(), UpdateError> {
        panic!("no idea")
    }
    async fn can_call(&self, _: &str, _: &str, _: &str, _: Option<&str>) -> bool {
        panic!("no idea")
    }
    fn profile_added(&self, _: &Profile) {
        panic!("no idea")
    }
    fn plugin_activated(&self, _: &Profile) {
        panic!("no idea")
    }
    fn plugin_deactivated(&self, _: &Profile) {
        panic!("no idea")
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_the_hosts_rules_is_a_refusal_and_keeps_the_link() {
    let builder = Engine::builder().policy(Panics).on_registration(|profile| assert_ne!(profile.name, "near"));
    let host = Host::with(builder.build()).await;
    let near = Plugin::new("near").method("m", || async {}).on_registration(|| panic!("registered"));
    host.engine.register(near).unwrap();
    let (mut peer, mut peers) = host.add_scripted("far", &["m"], false).await;
    let asks = [
        ("near", "m", json!([])),
        ("manager", "activatePlugin", json!(["near"])),
        ("manager", "deactivatePlugin", json!(["local"])),
        ("manager", "updateProfile", json!([{"kind": "k"}])),
    ];
    for (id, (name, key, payload)) in asks.into_iter().enumerate() {
        peer.send(json!({"action": "request", "id": id, "name": name, "key": key, "payload": payload}));
        let answer = peer.recv().await;
        assert!(answer["id"] == id && answer["error"].is_string(), "{answer}");
    }
    peer.send(json!({"action": "request", "id": 9, "name": "manager", "key": "canCall", "payload": ["a", "b", "m"]}));
    assert_eq!(peer.recv().await["payload"], json!(false));
    host.engine.manager().activate("near").await.unwrap();
    soon(host.engine.shutdown()).await;
    assert!(peer.has_ended() && peers.none());
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_plugins_own_rule_refuses_the_call() {
    let host = Host::new().await;
    let rule = |_: Profile, _: Option<String>| async { panic!("rule") };
    host.engine.register(Plugin::new("p").method("m", || async {}).can_activate(rule)).unwrap();
    let error = soon(host.local.call::<()>("p", "m", ())).await.unwrap_err();
    assert!(error.to_string().contains("not activated yet"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_hook_or_factory_ends_only_that_link() {
    let (connector, accepts, switch) = memory();
    let host = Host::new().await;
    host.engine.register(Registration::behind(ExternalProfile::new("far", "memory://"), connector)).unwrap();
    let (made, hooks) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let factory = move || {
        assert!(made.fetch_add(1, Relaxed) != 0, "the first is not made");
        let hooks = hooks.clone();
        Plugin::new("far")
            .method("m", || async { 1 })
            .on_activation(move |_| {
                let time = hooks.fetch_add(1, Relaxed);
                assert!(time != 0, "early");
                async move { assert!(time != 1, "late") }
            })
            .on_deactivation(|_| async { panic!("off") })
    };
    let errors = traces(Level::ERROR);
    tokio::spawn(serve(accepts, factory, ClientConfig::default()));
    host.engine.manager().activate("far").await.unwrap();
    let report = errors.containing("the function that `serve` was given");
    assert!(report.len() == 1 && report[0].contains("the first is not made"), "{report:?}");
    assert_eq!(soon(host.local.call::<i64>("far", "m", ())).await.unwrap(), 1);
    switch.cut();
    settle().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(soon(host.local.call::<i64>("far", "m", ())).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_plugins_hook_is_the_end_of_its_link() {
    let (mut engine, link) = scripted_link();
    let plugin = Plugin::new("p").on_activation(|_| async { panic!("of glass") });
    let (_client, session) = connect(link, plugin, ClientConfig::default());
    engine.send(json!({"action": "request", "id": 0, "key": "handshake", "name": "p", "payload": ["p"]}));
    assert_eq!(soon(session).await.to_string(), "the plugin panicked: of glass");
    assert!(engine.has_ended());
}
