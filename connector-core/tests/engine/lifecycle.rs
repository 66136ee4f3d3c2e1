//! Registration, activation, deactivation, and the end of an engine.

use std::time::Duration;

use connector_core::{
    ActivateError, CallError, Context, Engine, LinkState, Plugin, PluginOptions, Policy, Profile, Refusal,
    RegisterError, async_trait,
};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::scripted_peer::plugin_with_scripted_engine;
use crate::support::{Host, Notes, OnDrop, settle, soon};

/// Records its hooks.
fn noting(name: &str, notes: &Notes) -> Plugin {
    let [registered, on, off] = [(); 3].map(|()| notes.clone());
    Plugin::new(name)
        .method("ping", || async { "pong" })
        .on_registration(move || registered.add("registered"))
        .on_activation(move |client| {
            on.add(format!("activated {}", client.name()));
            async {}
        })
        .on_deactivation(move |_| {
            off.add("deactivated");
            async {}
        })
}

#[tokio::test(start_paused = true)]
async fn hooks_run_once_each_in_sequence() {
    let notes = Notes::default();
    let engines = notes.clone();
    let engine = Engine::builder().on_registration(move |profile| engines.add(profile.name.as_str())).build();
    engine.register(noting("p", &notes)).unwrap();
    let manager = engine.manager();
    for _ in 0..2 {
        manager.activate("p").await.unwrap();
        manager.activate("p").await.unwrap();
        manager.deactivate("p").await.unwrap();
        manager.deactivate("p").await.unwrap();
    }
    let round = ["activated p", "deactivated"];
    assert_eq!(notes.take(), [["registered", "p"], round, round].concat());
}

#[tokio::test(start_paused = true)]
async fn behind_a_link_hooks_run_at_the_handshake_and_at_the_end() {
    let notes = Notes::default();
    let (client, mut engine) = plugin_with_scripted_engine(noting("p", &notes), Default::default(), true).await;
    engine.send(json!({"action": "request", "id": 5, "key": "handshake", "payload": ["p"]}));
    assert_eq!(engine.recv().await["payload"], json!(["ping"]), "answered again");
    assert_eq!(notes.take(), ["activated p"]);
    client.disconnect();
    assert!(engine.next().await.is_none());
    settle().await;
    assert_eq!(notes.take(), ["deactivated"]);
}

#[tokio::test(start_paused = true)]
async fn names_are_unique_not_empty_and_without_dots() {
    let engine = Engine::new();
    engine.register(Plugin::new("p")).unwrap();
    let error = |name: &str| engine.register(Plugin::new(name)).unwrap_err();
    assert_eq!(error("p").to_string(), "Plugin p is already register.");
    assert_eq!(error("manager"), RegisterError::AlreadyRegistered("manager".to_owned()));
    assert_eq!(error("a.b"), RegisterError::BadName("a.b".to_owned()));
    assert_eq!(error(""), RegisterError::BadName(String::new()));
    engine.remove("p").await;
    engine.remove("p").await;
    assert!(!engine.is_registered("p"));
    engine.register(Plugin::new("p")).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_activates_on_demand_if_policy_and_plugin_allow() {
    struct NotThat;
    #[async_trait]
    impl Policy for NotThat {
        async fn can_activate(&self, from: &Profile, to: &Profile, method: Option<&str>) -> bool {
            from.name == "manager" || (to.name != "shut" && method == Some("ping"))
        }
    }
    let (host, notes) = (Host::with(Engine::builder().policy(NotThat).build()).await, Notes::default());
    host.engine.register(noting("shut", &notes)).unwrap();
    let asked = notes.clone();
    let rule = move |from: Profile, method: Option<String>| {
        asked.add(json!([from.name, method]));
        async { true }
    };
    host.engine.register(noting("open", &Notes::default()).can_activate(rule)).unwrap();
    notes.take();
    let refused = host.local.call::<String>("shut", "ping", ()).await.unwrap_err();
    assert!(matches!(&refused, CallError::Refused(refusal) if matches!(**refusal, Refusal::NotActivated { .. })));
    assert_eq!(host.local.call::<String>("open", "ping", ()).await.unwrap(), "pong");
    assert_eq!(notes.take(), [json!(["local", "ping"])]);
    assert!(host.engine.manager().is_active("open") && !host.engine.manager().is_active("shut"));
}

#[tokio::test(start_paused = true)]
async fn a_linked_plugin_is_activated_on_demand_and_called_at_once() {
    let host = Host::new().await;
    host.register(PluginOptions::default(), || noting("far", &Notes::default()));
    let calls: Vec<_> = (0..3).map(|_| host.start::<String>("far", "ping", ())).collect();
    for call in calls {
        assert_eq!(soon(call).await.unwrap().unwrap(), "pong");
    }
}

#[tokio::test(start_paused = true)]
async fn another_plugin_may_deactivate_if_policy_and_plugin_allow() {
    struct AnyoneMay;
    #[async_trait]
    impl Policy for AnyoneMay {
        async fn can_deactivate(&self, from: &Profile, _: &Profile) -> bool {
            from.name != "stranger"
        }
    }
    let host = Host::with(Engine::builder().policy(AnyoneMay).build()).await;
    let stranger = host.engine.register(Plugin::new("stranger")).unwrap();
    let agrees = |from: Profile| async move { from.name == "local" };
    host.add(move || Plugin::new("far").can_deactivate(agrees)).await;
    host.engine.register(Plugin::new("never").can_deactivate(|| async { false })).unwrap();
    for name in ["stranger", "never"] {
        host.engine.manager().activate(name).await.unwrap();
    }
    let words = |error: CallError| error.to_string();
    let refused = stranger.call::<()>("manager", "deactivatePlugin", ("far",)).await.map_err(words);
    assert_eq!(refused.unwrap_err(), "Plugin stranger has no right to deactivate plugin far");
    let refused = host.local.call::<()>("manager", "deactivatePlugin", ("never",)).await.map_err(words);
    assert_eq!(refused.unwrap_err(), "Plugin local has no right to deactivate plugin never");
    host.local.call::<()>("manager", "deactivatePlugin", ("far",)).await.unwrap();
    assert!(!host.engine.manager().is_active("far") && host.engine.manager().is_active("never"));
}

#[tokio::test(start_paused = true)]
async fn activation_fails_with_a_reason() {
    let host = Host::new().await;
    let manager = host.engine.manager();
    let error = manager.activate("missing").await.unwrap_err();
    assert_eq!(error.to_string(), "Cannot active plugin missing because it's not registered yet");

    let switch = host.register(PluginOptions::default(), || Plugin::new("refused"));
    switch.refuse_connections(true);
    let error = soon(manager.activate("refused")).await.unwrap_err();
    assert!(matches!(error, ActivateError::Connect { .. }), "{error:?}");

    let answers =
        [json!({"error": "not you"}), json!({"payload": "nonsense"}), json!({"payload": [1]}), json!({"error": {}})];
    for answer in answers {
        let (activated, mut peer, _peers) = host.start_scripted("hand").await;
        let mut whole = answer.clone();
        whole["action"] = "response".into();
        whole["id"] = peer.recv().await["id"].clone();
        peer.send(whole);
        let error = soon(activated).await.unwrap().unwrap_err();
        assert!(matches!(error, ActivateError::Handshake { .. }), "{answer}: {error:?}");
        assert!(!manager.is_active("hand") && peer.has_ended());
        host.engine.remove("hand").await;
    }
    let error = host.local.call::<()>("refused", "x", ()).await.unwrap_err();
    assert!(
        matches!(&error, CallError::Refused(refusal) if matches!(**refusal, Refusal::NotActivatable(_))),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn activation_of_a_silent_plugin_times_out() {
    let host = Host::new().await;
    let options = PluginOptions::default().activation_timeout(Duration::from_secs(4));
    let mut peers = host.register_scripted("silent", options);
    let began = Instant::now();
    let error = host.engine.manager().activate("silent").await.unwrap_err();
    assert!(matches!(error, ActivateError::NoHandshake { .. }), "{error:?}");
    assert_eq!(began.elapsed(), Duration::from_secs(4));
    settle().await;
    assert!(peers.next().await.has_ended());
    assert!(matches!(*host.engine.link_state("silent").unwrap().borrow(), LinkState::Inactive));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(peers.none(), "no longer dialled");
}

#[tokio::test(start_paused = true)]
async fn a_hanging_hook_fails_the_activation_and_reverts_it() {
    let (host, notes) = (Host::new().await, Notes::default());
    let noted = notes.clone();
    let hanging = Plugin::new("p").on_activation(move |client| {
        client.on("local", "e", noted.listener()).unwrap();
        std::future::pending()
    });
    let options = PluginOptions::default().activation_timeout(Duration::from_secs(2));
    let client = host.engine.register(hanging.options(options)).unwrap();
    let error = host.engine.manager().activate("p").await.unwrap_err();
    assert!(matches!(error, ActivateError::Hook { .. }), "{error:?}");
    assert!(!host.engine.manager().is_active("p"));
    assert!(client.emit("e", ()).await.is_err(), "it may not act");
    host.local.emit("e", ()).await.unwrap();
    assert!(notes.take().is_empty(), "it receives nothing");
}

#[tokio::test(start_paused = true)]
async fn an_activation_finishes_after_its_caller_is_dropped() {
    let host = Host::new().await;
    let (activated, mut peer, mut peers) = host.start_scripted("far").await;
    let ask = peer.recv().await;
    activated.abort();
    settle().await;
    assert!(!peer.has_ended());
    peer.answer(&ask, json!(["m"]));
    settle().await;
    assert!(host.engine.manager().is_active("far"));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(peers.none());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_engine_ends_its_links_and_all_calls() {
    let (host, notes) = (Host::new().await, Notes::default());
    let noted = notes.clone();
    let hang = move || {
        let _end = OnDrop(noted.clone(), "dropped");
        async move {
            let _end = _end;
            std::future::pending::<()>().await
        }
    };
    host.engine.register(Plugin::new("near").method("hang", hang)).unwrap();
    let (mut peer, mut peers) = host.add_scripted("far", &["hang"], true).await;
    let calls = ["near", "far"].map(|target| host.start::<()>(target, "hang", ()));
    settle().await;
    drop(host);
    for call in calls {
        soon(call).await.unwrap().unwrap_err();
    }
    settle().await;
    assert_eq!(notes.take(), ["dropped"]);
    assert!(peer.has_ended());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(peers.none());
}

#[tokio::test(start_paused = true)]
async fn shutdown_deactivates_all_gracefully() {
    let (host, notes) = (Host::new().await, Notes::default());
    host.engine.register(noting("near", &notes)).unwrap();
    host.engine.manager().activate("near").await.unwrap();
    let far = notes.clone();
    host.add(move || noting("far", &far)).await;
    notes.take();
    soon(host.engine.shutdown()).await;
    settle().await;
    assert_eq!(notes.take(), ["deactivated", "deactivated"]);
    let left: Vec<_> = host.engine.manager().active_profiles().into_iter().map(|profile| profile.name).collect();
    assert_eq!(left, ["manager"], "it stays to tell");
}

#[tokio::test(start_paused = true)]
async fn a_plugin_may_deactivate_itself_over_its_link_and_be_activated_again() {
    let host = Host::new().await;
    let quits = |ctx: Context| async move { ctx.client().call::<()>("manager", "deactivatePlugin", ("far",)).await };
    host.add(move || Plugin::new("far").method("quit", quits)).await;
    soon(host.local.call::<Value>("far", "quit", ())).await.unwrap_err();
    settle().await;
    assert!(!host.engine.manager().is_active("far"));
    assert!(matches!(*host.engine.link_state("far").unwrap().borrow(), LinkState::Inactive));
    soon(host.engine.manager().activate("far")).await.unwrap();
}
