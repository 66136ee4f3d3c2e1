//! Attribution of calls: callers deactivated while a call waits, and handles used in another plugin's method.

use std::sync::Arc;
use std::time::Duration;

use connector_core::{CallError, Context, Engine, Plugin, PluginClient, PluginOptions, Refusal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::support::{Host, Notes, Undecided, permissive_host, settle, soon};

/// A plugin that records each run; `hang` ends when the test notifies it.
fn target(notes: &Notes, go: &Arc<Notify>) -> Plugin {
    let (notes, go) = (notes.clone(), go.clone());
    let noted = notes.clone();
    Plugin::new("target")
        .method("note", move || {
            noted.add("ran");
            async {}
        })
        .method("hang", move || {
            let go = go.clone();
            async move { go.notified().await }
        })
}

fn call(client: &PluginClient, method: &'static str) -> JoinHandle<Result<(), CallError>> {
    let client = client.clone();
    tokio::spawn(async move { client.call::<()>("target", method, ()).await })
}

fn is_deactivated(outcome: &Result<(), CallError>) -> bool {
    matches!(outcome, Err(CallError::Refused(refusal)) if matches!(**refusal, Refusal::Deactivated { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_queued_call_ends_with_its_callers_deactivation() {
    for linked in [false, true] {
        for remove in [false, true] {
            let (host, notes, go) = (permissive_host().await, Notes::default(), Arc::new(Notify::new()));
            let plugin = target(&notes, &go);
            match linked {
                true => drop(host.add(move || plugin.clone()).await),
                false => drop(host.engine.register(plugin).unwrap()),
            }
            let caller = host.engine.register(Plugin::new("caller")).unwrap();
            host.engine.manager().activate("caller").await.unwrap();
            let runs = host.start::<()>("target", "hang", ());
            settle().await;
            let (waits, others) = (call(&caller, "note"), host.start::<()>("target", "note", ()));
            settle().await;
            match remove {
                true => host.engine.remove("caller").await,
                false => host.engine.manager().deactivate("caller").await.unwrap(),
            }
            let outcome = soon(waits).await.unwrap();
            assert!(is_deactivated(&outcome), "linked: {linked}, remove: {remove}: {outcome:?}");
            if !remove {
                // Its next activation does not restore the call.
                host.engine.manager().activate("caller").await.unwrap();
            }
            go.notify_one();
            soon(runs).await.unwrap().unwrap();
            soon(others).await.unwrap().unwrap();
            assert_eq!(notes.take(), ["ran"], "linked: {linked}, remove: {remove}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_waiting_for_an_activation_ends_with_its_callers_deactivation() {
    for again in [false, true] {
        let (host, notes, go) = (permissive_host().await, Notes::default(), Arc::new(Notify::new()));
        let hook = go.clone();
        let plugin = target(&notes, &go).on_activation(move |_| {
            let go = hook.clone();
            async move { go.notified().await }
        });
        // Behind a link it would answer the handshake before its hook has ended.
        host.engine.register(plugin).unwrap();
        let caller = host.engine.register(Plugin::new("caller")).unwrap();
        host.engine.manager().activate("caller").await.unwrap();
        let waits = call(&caller, "note");
        settle().await;
        host.engine.manager().deactivate("caller").await.unwrap();
        if again {
            host.engine.manager().activate("caller").await.unwrap();
        }
        go.notify_one();
        let outcome = soon(waits).await.unwrap();
        assert!(is_deactivated(&outcome), "again: {again}: {outcome:?}");
        assert!(notes.take().is_empty(), "again: {again}");
    }
}

/// The manager's own decision may take time as well.
#[tokio::test(start_paused = true)]
async fn a_call_waiting_for_the_policy_ends_with_its_callers_deactivation() {
    let (go, notes) = (Arc::new(Notify::new()), Notes::default());
    let host = Host::with(Engine::builder().policy(Undecided { about: "target", granted: go.clone() }).build()).await;
    host.engine.register(target(&notes, &go)).unwrap();
    let caller = host.engine.register(Plugin::new("caller")).unwrap();
    host.engine.manager().activate("caller").await.unwrap();
    let waits = call(&caller, "note");
    settle().await;
    host.engine.manager().deactivate("caller").await.unwrap();
    go.notify_one();
    let outcome = soon(waits).await.unwrap();
    assert!(is_deactivated(&outcome), "{outcome:?}");
    assert!(notes.take().is_empty());
    assert!(!host.engine.manager().is_active("target"), "no request for it is left");
}

#[tokio::test(start_paused = true)]
async fn a_call_through_another_plugins_handle_belongs_to_the_calling_method() {
    let host = Host::new().await;
    let friend = host.engine.register(Plugin::new("friend")).unwrap();
    host.engine.manager().activate("friend").await.unwrap();
    let handle = friend.clone();
    let p = Plugin::new("p").method("one", || async { 1 }).method("two", move || {
        let friend = handle.clone();
        async move { friend.call::<i64>("p", "one", ()).await }
    });
    host.engine.register(p).unwrap();
    assert_eq!(soon(host.local.call::<i64>("p", "two", ())).await.unwrap(), 1);
    // Also through a third plugin, which makes the reentrant call with its own handle.
    let q =
        Plugin::new("q").method("back", |ctx: Context| async move { ctx.client().call::<i64>("r", "one", ()).await });
    let r = Plugin::new("r").method("one", || async { 1 }).method("go", move || {
        let friend = friend.clone();
        async move { friend.call::<i64>("q", "back", ()).await }
    });
    host.engine.register(q).unwrap();
    host.engine.register(r).unwrap();
    assert_eq!(soon(host.local.call::<i64>("r", "go", ())).await.unwrap(), 1);
}

/// Its own calls are not attributed to the method, and wait in the queue.
#[tokio::test(start_paused = true)]
async fn calls_through_a_handle_are_not_attributed_to_its_plugin() {
    let (host, notes, go) = (Host::new().await, Notes::default(), Arc::new(Notify::new()));
    host.engine.register(target(&notes, &go)).unwrap();
    let handle = host.local.clone();
    let p = Plugin::new("p").method("note", move || {
        let local = handle.clone();
        async move { local.call::<()>("target", "note", ()).await }
    });
    host.engine.register(p.options(PluginOptions::default().queue_timeout(Duration::from_secs(60)))).unwrap();
    let runs = host.start::<()>("target", "hang", ());
    settle().await;
    let waits = host.start::<()>("p", "note", ());
    settle().await;
    assert!(notes.take().is_empty(), "it waits");
    // A cancel through the handle still applies to it.
    host.local.cancel("target", Some("note")).await.unwrap();
    assert!(matches!(soon(waits).await.unwrap(), Err(CallError::Plugin(_))));
    go.notify_one();
    soon(runs).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_method_named_handshake_is_refused_over_a_link() {
    use connector_core::{ClientConfig, Service};

    let shakes = |name: &str| {
        Plugin::new(name)
            .method("handshake", || async { 1 })
            .service("hands", Service::new().method("handshake", || async { 2 }))
            .method("ask", |ctx: Context, target: String| async move {
                let error = ctx.client().call::<i64>(&target, "handshake", ()).await.unwrap_err();
                (matches!(error, CallError::Refused(_)), error.to_string())
            })
    };
    let host = Host::new().await;
    host.engine.register(shakes("here")).unwrap();
    host.add(move || shakes("there")).await;
    // Within a process there is no link that could confuse it.
    assert_eq!(host.local.call::<i64>("here", "handshake", ()).await.unwrap(), 1);
    for path in ["there", "there.hands"] {
        let error = soon(host.local.call::<i64>(path, "handshake", ())).await.unwrap_err();
        assert!(matches!(error, CallError::Refused(_)) && error.to_string().contains("reserved"), "{error:?}");
    }
    for target in ["here", "there", "missing"] {
        let asked = soon(host.local.call::<(bool, String)>("there", "ask", (target,))).await.unwrap();
        assert!(asked.0 && asked.1.contains("\"handshake\"") && asked.1.contains("reserved"), "{asked:?}");
    }
    // The link performed only one handshake.
    let (client, mut engine) =
        crate::scripted_peer::plugin_with_scripted_engine(shakes("p"), ClientConfig::default(), false).await;
    soon(client.call::<i64>("x", "handshake", ())).await.unwrap_err();
    assert!(engine.all().await.is_empty());
}
