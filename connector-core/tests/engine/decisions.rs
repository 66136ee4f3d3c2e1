//! Decisions that never complete, and the view of others on successive plugins with one name.

use std::time::Duration;

use connector_core::{
    ActivateError, CallError, Engine, Payload, Plugin, Policy, Profile, Refusal, Rest, UpdateError, async_trait,
};
use serde_json::{Map, Value, json};

use crate::support::{Host, Notes, settle};

struct Undecided;

#[async_trait]
impl Policy for Undecided {
    async fn can_activate(&self, _: &Profile, to: &Profile, _: Option<&str>) -> bool {
        to.name != "never" || std::future::pending().await
    }
    async fn can_deactivate(&self, _: &Profile, _: &Profile) -> bool {
        std::future::pending().await
    }
    async fn can_update_profile(&self, _: &Profile, _: &Profile, _: &Map<String, Value>) -> Result<(), UpdateError> {
        std::future::pending().await
    }
    async fn can_call(&self, _: &str, _: &str, _: &str, _: Option<&str>) -> bool {
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_decision_that_never_completes_counts_as_no() {
    let host = Host::with(Engine::builder().policy(Undecided).build()).await;
    host.engine.register(Plugin::new("never").method("one", || async { 1 })).unwrap();
    let rule = Plugin::new("rule").method("one", || async { 1 }).can_activate(|_, _| std::future::pending());
    host.engine.register(rule).unwrap();
    let activation = host.start_activation("never");
    let calls = [host.start::<i64>("never", "one", ()), host.start::<i64>("rule", "one", ())];
    let ask = |method, args: Value| {
        host.start::<Value>(
            "manager",
            method,
            Rest(args.as_array().unwrap().iter().cloned().map(Payload::new).collect()),
        )
    };
    let asks = [
        ask("deactivatePlugin", json!(["rule"])),
        ask("updateProfile", json!([{"name": "local"}])),
        ask("canCall", json!(["local", "rule", "one"])),
    ];
    // Long enough to ask a user.
    tokio::time::sleep(Duration::from_secs(1800)).await;
    assert!(!activation.is_finished() && calls.iter().all(|call| !call.is_finished()));
    tokio::time::sleep(Duration::from_secs(1801)).await;
    assert!(matches!(activation.await.unwrap(), Err(ActivateError::NoRight { .. })));
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(
            matches!(&error, CallError::Refused(why) if matches!(**why, Refusal::NotActivated { .. })),
            "{error:?}"
        );
    }
    for ask in asks {
        assert!(ask.is_finished());
        drop(ask.await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn a_namesakes_activation_is_announced_after_its_predecessors_deactivation() {
    for activating in [false, true] {
        let (host, notes) = (Host::new().await, Notes::default());
        for event in ["pluginActivated", "pluginDeactivated"] {
            let noted = notes.clone();
            let listener = move |profile: Profile| {
                if profile.name == "p" {
                    noted.add(format!("{event} {}", profile.description.unwrap_or_default()));
                }
            };
            host.local.on("manager", event, listener).unwrap();
        }
        notes.take();
        let p = |which: &str| {
            let mut profile = Profile::new("p");
            profile.description = Some(which.to_owned());
            Plugin::new(profile)
        };
        let second = |_| tokio::time::sleep(Duration::from_secs(1));
        let old = match activating {
            true => p("old").on_activation(second),
            false => p("old").on_deactivation(second),
        };
        host.engine.register(old).unwrap();
        let activation = host.start_activation("p");
        settle().await;
        let engine = host.engine.clone();
        let removal = tokio::spawn(async move { engine.remove("p").await });
        settle().await;
        host.engine.register(p("new")).unwrap();
        host.engine.manager().activate("p").await.unwrap();
        removal.await.unwrap();
        let _ = activation.await.unwrap();
        let expected = match activating {
            true => vec!["pluginActivated new"],
            false => vec!["pluginActivated old", "pluginDeactivated old", "pluginActivated new"],
        };
        assert_eq!(notes.take(), expected, "activating: {activating}");
        host.engine.manager().deactivate("p").await.unwrap();
        assert_eq!(notes.take(), ["pluginDeactivated new"], "activating: {activating}");
    }
}
