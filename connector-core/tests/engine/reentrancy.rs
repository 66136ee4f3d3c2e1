//! Reentrant work does not wait for itself.

use std::time::Duration;

use connector_core::{CallError, Context, Plugin, PluginOptions};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::support::{Host, Notes, permissive_host, settle, soon};

/// Relays along a path of plugins: `via ["b", "a"]` calls `via ["a"]` of b, which calls `via []` of a.
fn relay(name: &str) -> Plugin {
    Plugin::new(name).method("via", |ctx: Context, mut path: Vec<String>| async move {
        if path.is_empty() {
            return Ok::<Value, CallError>(json!([ctx.from()]));
        }
        let next = path.remove(0);
        let mut trail: Vec<Value> = ctx.client().call(&next, "via", (path,)).await?;
        trail.insert(0, ctx.from().into());
        Ok(trail.into())
    })
}

/// The plugins a, b and c: in the process, behind links, or mixed.
async fn plugins(linked: [bool; 3]) -> Host {
    let host = Host::new().await;
    for (name, linked) in ["a", "b", "c"].into_iter().zip(linked) {
        match linked {
            true => drop(host.add(move || relay(name)).await),
            false => drop(host.engine.register(relay(name)).unwrap()),
        }
    }
    host
}

const PLACES: [[bool; 3]; 4] = [[false, false, false], [true, true, true], [true, false, true], [false, true, false]];

fn path(names: &[&str]) -> (Vec<String>,) {
    (names.iter().map(|name| (*name).to_owned()).collect(),)
}

/// The callers along a path of plugins, as `via` returns them.
async fn callers(host: &Host, names: &[&str]) -> Value {
    soon(host.local.call("a", "via", path(names))).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_plugin_may_call_itself() {
    for places in PLACES {
        let host = plugins(places).await;
        assert_eq!(callers(&host, &["a", "a"]).await, json!(["local", "a", "a"]), "{places:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn reentrant_calls_bypass_the_queue() {
    for places in PLACES {
        let host = plugins(places).await;
        assert_eq!(callers(&host, &["b", "a"]).await, json!(["local", "a", "b"]), "{places:?}");
        callers(&host, &["b", "c", "a", "c", "b", "a"]).await;
    }
}

/// Two simultaneous callers: X calls A which calls B, Y calls B which calls A. Each inner call is made while the other
/// plugin is busy.
pub(crate) fn meet(name: &'static str, other: &'static str, barrier: std::sync::Arc<Barrier>) -> Plugin {
    Plugin::new(name).method("inner", || async { 1 }).method("cross", move |ctx: Context| {
        let barrier = barrier.clone();
        async move {
            barrier.wait().await;
            ctx.client().call::<i64>(other, "inner", ()).await
        }
    })
}

#[tokio::test(start_paused = true)]
async fn crossing_calls_do_not_deadlock() {
    for linked in [false, true] {
        let host = Host::new().await;
        let barrier = std::sync::Arc::new(Barrier::new(2));
        for (name, other) in [("a", "b"), ("b", "a")] {
            let plugin = meet(name, other, barrier.clone());
            match linked {
                true => drop(host.add(move || plugin.clone()).await),
                false => drop(host.engine.register(plugin).unwrap()),
            }
        }
        let (x, y) = (host.start::<i64>("a", "cross", ()), host.start::<i64>("b", "cross", ()));
        assert_eq!(soon(x).await.unwrap().unwrap(), 1);
        assert_eq!(soon(y).await.unwrap().unwrap(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_unrelated_call_still_waits_its_turn() {
    for linked in [false, true] {
        let (host, notes) = (Host::new().await, Notes::default());
        let noted = notes.clone();
        let plugin = move || {
            let notes = noted.clone();
            Plugin::new("a")
                .method("note", {
                    let notes = notes.clone();
                    move |what: String| {
                        notes.add(what);
                        async {}
                    }
                })
                .method("work", move |ctx: Context| {
                    let notes = notes.clone();
                    async move {
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        ctx.client().call::<()>("a", "note", ("inner",)).await?;
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        notes.add("done");
                        Ok::<_, CallError>(())
                    }
                })
        };
        match linked {
            true => drop(host.add(plugin).await),
            false => drop(host.engine.register(plugin()).unwrap()),
        }
        // One caller is idle, the other is busy on behalf of another plugin.
        let busy = Plugin::new("busy")
            .method("ask", |ctx: Context| async move { ctx.client().call::<()>("a", "note", ("busy",)).await });
        host.engine.register(busy).unwrap();
        let work = host.start::<()>("a", "work", ());
        settle().await;
        let others = [host.start::<()>("a", "note", ("idle",)), host.start::<()>("busy", "ask", ())];
        soon(work).await.unwrap().unwrap();
        for other in others {
            soon(other).await.unwrap().unwrap();
        }
        assert_eq!(notes.take(), ["inner", "done", "idle", "busy"], "linked: {linked}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cycle_through_a_queued_call_is_detected() {
    let cross = |name: &'static str, other: &'static str| {
        Plugin::new(name)
            .method("nap", || async { tokio::time::sleep(Duration::from_millis(50)).await })
            .method("inner", || async { 1 })
            .method("cross", move |ctx: Context| async move { ctx.client().call::<i64>(other, "inner", ()).await })
    };
    let host = Host::new().await;
    host.engine.register(cross("a", "b")).unwrap();
    host.engine.register(cross("b", "a")).unwrap();
    let nap = host.start::<()>("a", "nap", ());
    settle().await;
    let x = host.start::<i64>("a", "cross", ());
    settle().await;
    // Its inner call waits behind x; once x runs, it waits for this one.
    let y = host.start::<i64>("b", "cross", ());
    soon(nap).await.unwrap().unwrap();
    assert_eq!(soon(x).await.unwrap().unwrap(), 1);
    assert_eq!(soon(y).await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_manager_may_ask_a_plugin_that_waits_for_it() {
    let host = permissive_host().await;
    host.engine.register(relay("b")).unwrap();
    let stops = Plugin::new("a").method("stop", |ctx: Context, name: String| async move {
        ctx.client().call::<()>("manager", "deactivatePlugin", (name,)).await.map_err(|error| error.to_string())
    });
    host.engine.register(stops).unwrap();
    let asks = Plugin::new("busy")
        .method("stopMe", |ctx: Context| async move { ctx.client().call::<()>("a", "stop", ("busy",)).await });
    host.engine.register(asks).unwrap();
    // It ends with its result or with the deactivation, but does not wait.
    drop(soon(host.local.call::<()>("busy", "stopMe", ())).await);
    assert!(!host.engine.manager().is_active("busy"));
}

#[tokio::test(start_paused = true)]
async fn reentrant_calls_bypass_a_full_queue() {
    let host = Host::new().await;
    host.engine.register(relay("a").options(PluginOptions::default().queue_length(1))).unwrap();
    host.engine.register(relay("b").options(PluginOptions::default().queue_length(1))).unwrap();
    let others = Plugin::new("others").method("go", |ctx: Context| async move {
        let waits = ctx.client().call::<Value>("a", "via", path(&[]));
        tokio::time::timeout(Duration::from_millis(1), waits).await.is_err()
    });
    host.engine.register(others).unwrap();
    let fills = Plugin::new("x").method("go", |ctx: Context| async move {
        let (through, waits) =
            (ctx.client().call::<Value>("a", "via", path(&["b", "a"])), ctx.client().call::<bool>("others", "go", ()));
        let (through, _) = tokio::join!(through, waits);
        through.map(|_| true)
    });
    host.engine.register(fills).unwrap();
    assert!(soon(host.local.call::<bool>("x", "go", ())).await.unwrap());
}

/// A policy calls a plugin, which calls the plugin that waits for the policy.
#[tokio::test(start_paused = true)]
async fn a_decision_may_call_a_plugin_that_calls_the_waiting_one() {
    use std::sync::{Arc, OnceLock};

    use connector_core::{Engine, PluginClient, Policy, Profile, async_trait};

    #[derive(Clone, Default)]
    struct AsksJudge(Arc<OnceLock<PluginClient>>);
    #[async_trait]
    impl Policy for AsksJudge {
        async fn can_activate(&self, from: &Profile, to: &Profile, _: Option<&str>) -> bool {
            let Some(asks) = self.0.get().filter(|_| to.name.starts_with('t')) else { return true };
            asks.call::<bool>("judge", "judge", (from.name.clone(),)).await.unwrap()
        }
    }
    for linked in [[false, false], [true, true], [true, false], [false, true]] {
        let policy = AsksJudge::default();
        let host = Host::with(Engine::builder().policy(policy.clone()).build()).await;
        for name in ["t1", "t2"] {
            host.engine.register(Plugin::new(name).method("one", || async { 1 })).unwrap();
        }
        let judge = || {
            Plugin::new("judge").method("judge", |ctx: Context, target: String| async move {
                ctx.client().call::<bool>(&target, "isGood", ()).await
            })
        };
        let asker = || {
            Plugin::new("asker")
                .method("isGood", || async { true })
                .method("on_demand", |ctx: Context| async move { ctx.client().call::<i64>("t1", "one", ()).await })
                .method("manager", |ctx: Context| async move {
                    ctx.client().call::<()>("manager", "activatePlugin", ("t2",)).await
                })
        };
        for (plugin, linked) in [(judge as fn() -> Plugin, linked[0]), (asker, linked[1])] {
            match linked {
                true => drop(host.add(plugin).await),
                false => drop(host.engine.register(plugin()).unwrap()),
            }
        }
        policy.0.set(host.local.clone()).unwrap();
        assert_eq!(soon(host.local.call::<i64>("asker", "on_demand", ())).await.unwrap(), 1, "{linked:?}");
        soon(host.local.call::<()>("asker", "manager", ())).await.unwrap();
    }
}
