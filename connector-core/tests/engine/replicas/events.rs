//! Events of replicas, and what they request themselves.

use std::time::Duration;

use connector_core::{Context, Plugin, PluginOptions, Replicas, Rest};
use serde_json::json;

use super::{Program, named, options, with_replicas};
use crate::support::{Host, Notes, settle};

#[tokio::test(start_paused = true)]
async fn an_event_of_any_replica_arrives_once_as_the_plugins() {
    let (host, _programs) = with_replicas(&["a", "b", "c"], options()).await;
    let notes = Notes::default();
    host.local.on("p", "said", notes.listener()).unwrap();
    for _ in 0..3 {
        host.local.call::<()>("p", "say", ("said",)).await.unwrap();
    }
    settle().await;
    assert_eq!(notes.take(), vec![json!([7]); 3]);
    let late = Notes::default();
    let other = host.engine.register(Plugin::new("other")).unwrap();
    host.engine.manager().activate("other").await.unwrap();
    other.on("p", "said", late.listener()).unwrap();
    settle().await;
    assert_eq!(late.take(), [json!([7])], "the last one is stored");
    host.engine.manager().deactivate("p").await.unwrap();
    host.local.off("p", "said").unwrap();
    host.local.on("p", "said", notes.listener()).unwrap();
    settle().await;
    assert!(notes.take().is_empty(), "until the plugin is deactivated");
}

/// The stored event outlives the replica that emitted it.
#[tokio::test(start_paused = true)]
async fn a_replica_that_is_lost_takes_no_stored_event_with_it() {
    let (host, programs) = with_replicas(&["a", "b"], options()).await;
    let first = Notes::default();
    host.local.on("p", "said", first.listener()).unwrap();
    host.local.call::<()>("p", "say", ("said",)).await.unwrap();
    programs.iter().for_each(Program::die);
    settle().await;
    let other = host.engine.register(Plugin::new("other")).unwrap();
    host.engine.manager().activate("other").await.unwrap();
    let notes = Notes::default();
    other.on("p", "said", notes.listener()).unwrap();
    settle().await;
    assert_eq!(notes.take(), [json!([7])]);
}

/// Each replica subscribes when it is activated, and reports what it receives.
#[tokio::test(start_paused = true)]
async fn a_subscription_belongs_to_the_replica_that_made_it() {
    let host = Host::new().await;
    let notes = Notes::default();
    let (mut programs, mut replicas) = (Vec::new(), Replicas::new("p"));
    for name in ["a", "b"] {
        let heard = notes.clone();
        let (program, connector) = Program::start(move || {
            let heard = heard.clone();
            named(name).method("listen", move |ctx: Context, once: bool| {
                let (heard, client) = (heard.clone(), ctx.client().clone());
                let listener = move |args: Rest| heard.add(json!([name, args]));
                async move {
                    match once {
                        true => client.once("local", "news", listener),
                        false => client.on("local", "news", listener),
                    }
                }
            })
        });
        replicas = replicas.replica(name, "memory:", connector);
        programs.push(program);
    }
    host.engine.register(replicas).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    host.local.call::<()>("p", "listen", (false,)).await.unwrap();
    settle().await;
    host.local.emit("news", (1,)).await.unwrap();
    settle().await;
    let heard = notes.take();
    assert_eq!(heard.len(), 1, "{heard:?}");
    // The other one, twice: the second subscription replaces nothing, because the first has ended.
    for number in 2..4 {
        host.local.call::<()>("p", "listen", (true,)).await.unwrap();
        settle().await;
        host.local.call::<String>("p", "who", ()).await.unwrap();
        settle().await;
        notes.take();
        host.local.emit("news", (number,)).await.unwrap();
        settle().await;
        assert_eq!(notes.take(), [json!([heard[0][0], [number]])], "the subscription for one event has had it");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_replica_is_answered_to_it_and_comes_from_the_plugin() {
    let (host, _programs) = with_replicas(&["a", "b", "c"], options()).await;
    host.engine
        .register(Plugin::new("clerk").method("from", |ctx: Context, _: u64| async move { ctx.from().to_owned() }))
        .unwrap();
    let calls: Vec<_> = (0..30).map(|_| host.start::<String>("p", "relay", ("clerk", "from", 1))).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap(), "p");
    }
}

/// A plugin may deactivate itself, whichever of its replicas says so.
#[tokio::test(start_paused = true)]
async fn a_replica_acts_with_the_permissions_of_the_plugin() {
    let host = Host::new().await;
    let (mut programs, mut replicas) = (Vec::new(), Replicas::new("p"));
    for name in ["a", "b"] {
        let (program, connector) = Program::start(move || {
            named(name)
                .method("leave", |ctx: Context| async move {
                    ctx.client().call::<()>("manager", "deactivatePlugin", ("p",)).await
                })
                .method("rename", |ctx: Context| async move {
                    ctx.client()
                        .call::<()>("manager", "updateProfile", (json!({ "displayName": "P", "kind": "fake" }),))
                        .await
                })
        });
        replicas = replicas.replica(name, "memory:", connector);
        programs.push(program);
    }
    host.engine.register(replicas.options(PluginOptions::default())).unwrap();
    host.engine.manager().activate("p").await.unwrap();
    settle().await;
    host.local.call::<()>("p", "rename", ()).await.unwrap();
    let profile = host.engine.manager().profile("p").unwrap();
    assert_eq!((profile.display_name.as_deref(), profile.kind), (Some("P"), None));
    let _ = tokio::time::timeout(Duration::from_secs(1), host.local.call::<()>("p", "leave", ())).await.unwrap();
    settle().await;
    assert!(!host.engine.manager().is_active("p"));
    assert!(programs.iter().all(|program| program.switch.open_links() == 0));
}
