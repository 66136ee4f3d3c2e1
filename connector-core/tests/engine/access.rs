//! The host's access rules, enforced by the router.

use conformance::traces;
use connector_core::{Access, ActivateError, CallError, Context, Engine, Operation, Plugin, Refusal};
use serde_json::{Value, json};
use tracing::Level;

use crate::support::{Host, Notes, settle, soon};

fn reads(name: &str) -> Plugin {
    Plugin::new(name)
        .method("read", || async { 1 })
        .method("relay", |ctx: Context, to: String| async move { ctx.client().call::<i64>(&to, "read", ()).await })
}

/// `far` may access only `files` and the manager.
async fn host() -> Host {
    let rule = |access: &Access<'_>| access.from != "far" || ["files", "manager"].contains(&access.to);
    let host = Host::with(Engine::builder().access_rule("far-sees-files-only", rule).build()).await;
    for name in ["files", "secret"] {
        host.engine.register(reads(name)).unwrap();
    }
    host
}

#[tokio::test(start_paused = true)]
async fn a_plugin_restricted_to_another_cannot_reach_more() {
    let host = host().await;
    let (mut peer, _peers) = host.add_scripted("far", &[], false).await;
    let manager = host.engine.manager();
    let mut ask = async |name: &str, key: &str, payload: Value| {
        peer.send(json!({"action": "request", "id": 1, "name": name, "key": key, "payload": payload}));
        peer.recv().await
    };
    assert_eq!(ask("files", "read", json!([])).await["payload"], 1);
    let refused = ask("secret", "read", json!([])).await;
    let words =
        "\"far\" may not call \"read\" of \"secret\": the host's rule \"far-sees-files-only\" does not allow it";
    assert_eq!(refused["error"], words);
    assert!(!manager.is_active("secret"), "it is not activated either");
    let refused = ask("manager", "activatePlugin", json!(["secret"])).await;
    assert!(refused["error"].as_str().unwrap().contains("may not activate \"secret\""), "{refused}");
    manager.activate("secret").await.unwrap();
    let refused = ask("manager", "deactivatePlugin", json!(["secret"])).await;
    assert!(refused["error"].as_str().unwrap().contains("may not deactivate \"secret\""), "{refused}");
    // For an indirect call, the intermediate plugin is the caller.
    assert_eq!(ask("files", "relay", json!(["secret"])).await["payload"], 1);
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_receives_nothing() {
    let rule = |access: &Access<'_>| !matches!(access.operation, Operation::Listen { event: "secret" });
    let host = Host::with(Engine::builder().access_rule("no-secrets", rule).build()).await;
    let (mut peer, _peers) = host.add_scripted("far", &[], false).await;
    let traces = traces(Level::WARN);
    for (action, key) in [("on", "secret"), ("once", "secret"), ("on", "open")] {
        peer.send(json!({"action": action, "name": "local", "key": key}));
    }
    settle().await;
    let lines = traces.lines();
    assert_eq!(lines.len(), 2, "the wire has no response to a subscription: {lines:?}");
    for line in &lines {
        for part in ["message=refused", "plugin=\"far\"", "\"secret\" of \"local\"", "\"no-secrets\""] {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
    for event in ["secret", "open"] {
        host.local.emit(event, (1,)).await.unwrap();
    }
    assert_eq!(peer.all().await, [json!({"action": "notification", "name": "local", "key": "open", "payload": [1]})]);
    let refused = host.local.on("far", "secret", |_: i64| {}).unwrap_err();
    assert!(
        matches!(&refused, CallError::Refused(refusal) if matches!(**refusal, Refusal::Denied { .. })),
        "{refused:?}"
    );
    assert!(host.local.events::<(i64,)>("far", "secret", 1).is_err());
}

#[tokio::test(start_paused = true)]
async fn rules_see_requests_of_plugins_but_not_of_the_engine() {
    let (asked, notes) = (Notes::default(), Notes::default());
    let seen = asked.clone();
    let rule = move |access: &Access<'_>| {
        seen.add(format!("{} {} {:?}", access.from, access.to, access.operation));
        true
    };
    let host =
        Host::with(Engine::builder().access_rule("all", rule).access_rule("more", |_: &Access<'_>| true).build()).await;
    let anyone =
        |asked: &Notes| asked.take().into_iter().map(|note| note.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(anyone(&asked), ["manager local Activate"]);
    host.add(|| reads("far")).await;
    assert_eq!(anyone(&asked), ["manager far Activate"], "the handshake is the engine's own");
    let nested = connector_core::Service::new().method("deep", || async { 1 });
    host.engine.register(Plugin::new("near").service("tools", nested)).unwrap();
    host.local.call::<i64>("near.tools", "deep", ()).await.unwrap();
    let call = "local near Call { method: \"deep\", path: \"near.tools\" }";
    assert_eq!(anyone(&asked), [call, "local near Activate"]);
    host.local.on("near", "e", notes.listener()).unwrap();
    assert_eq!(anyone(&asked), ["local near Listen { event: \"e\" }"]);
    host.local.call::<()>("missing", "m", ()).await.unwrap_err();
    assert_eq!(anyone(&asked), ["local missing Call { method: \"m\", path: \"missing\" }"]);
    host.engine.manager().deactivate("near").await.unwrap();
    assert_eq!(anyone(&asked), ["manager near Deactivate"]);
}

#[tokio::test(start_paused = true)]
async fn asking_a_plugin_for_agreement_is_not_subject_to_rules() {
    struct Anyone;
    #[connector_core::async_trait]
    impl connector_core::Policy for Anyone {
        async fn can_deactivate(&self, _: &connector_core::Profile, _: &connector_core::Profile) -> bool {
            true
        }
    }
    let rule = |access: &Access<'_>| access.from != "manager" || !matches!(access.operation, Operation::Call { .. });
    let host = Host::with(Engine::builder().policy(Anyone).access_rule("manager-calls-nothing", rule).build()).await;
    host.add(|| Plugin::new("far").can_deactivate(|| async { false })).await;
    host.local.call::<()>("manager", "deactivatePlugin", ("far",)).await.unwrap_err();
    assert!(host.engine.manager().is_active("far"), "it has been asked, and does not agree");
}

#[tokio::test(start_paused = true)]
async fn a_rule_applies_to_the_host_and_a_panicking_rule_denies() {
    let rule = |access: &Access<'_>| match access.operation {
        Operation::Activate if access.to == "odd" => panic!("no idea"),
        Operation::Activate => access.to != "never",
        _ => true,
    };
    let host = Host::with(Engine::builder().access_rule("some-never-start", rule).build()).await;
    for name in ["never", "odd"] {
        host.engine.register(reads(name)).unwrap();
        let error = soon(host.engine.manager().activate(name)).await.unwrap_err();
        assert!(matches!(error, ActivateError::Denied(_)), "{error:?}");
        let error = host.local.call::<i64>(name, "read", ()).await.unwrap_err();
        assert!(
            matches!(&error, CallError::Refused(refusal) if matches!(**refusal, Refusal::Denied { .. })),
            "{error:?}"
        );
    }
}
