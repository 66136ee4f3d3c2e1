//! The time that a caller has left, from hop to hop.

use std::time::Duration;

use connector_core::{CallError, Context, Plugin, PluginOptions};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Host, Notes, OnDrop, json as to_json, settle};

const SECOND: Duration = Duration::from_secs(1);

/// `left` returns the milliseconds that its call has left. `relay` and `detached` return those that another plugin sees
/// after 300 ms. `chain` calls the same method of the next plugin, until the last, and never returns.
fn plugin(name: &'static str, notes: &Notes) -> Plugin {
    let left = |ctx: Context| async move { ctx.time_left().map(|left| left.as_millis() as u64) };
    let relay = |ctx: Context, to: String| async move {
        sleep(Duration::from_millis(300)).await;
        ctx.client().call::<Value>(&to, "left", ()).await
    };
    let detached =
        |ctx: Context, to: String| async move { ctx.client().detached().call::<Value>(&to, "left", ()).await };
    let notes = notes.clone();
    let chain = move |ctx: Context, mut rest: Vec<String>| {
        let notes = notes.clone();
        async move {
            let _ended = OnDrop(notes, name);
            if !rest.is_empty() {
                let next = rest.remove(0);
                return ctx.client().call::<Value>(&next, "chain", (rest,)).await;
            }
            std::future::pending().await
        }
    };
    Plugin::new(name).method("left", left).method("relay", relay).method("detached", detached).method("chain", chain)
}

async fn host(notes: &Notes) -> Host {
    let host = Host::new().await;
    host.engine.register(plugin("inner", notes)).unwrap();
    for name in ["first", "second"] {
        let notes = notes.clone();
        host.add(move || plugin(name, &notes)).await;
    }
    host
}

#[tokio::test(start_paused = true)]
async fn what_is_left_shrinks_at_each_hop() {
    let host = host(&Notes::default()).await;
    for (target, to) in [("first", "second"), ("first", "inner"), ("inner", "second"), ("second", "first")] {
        let left: Value = host.local.call_within(SECOND, target, "relay", (to,)).await.unwrap();
        assert_eq!(left, 700, "{target} → {to}");
    }
    let left: Value = host.local.call_within(20 * SECOND, "inner", "left", ()).await.unwrap();
    assert_eq!(left, 10_000, "the engine's own limit is smaller");
    assert_eq!(host.local.call::<Value>("first", "left", ()).await.unwrap(), json!(null), "no caller has a limit");
    let left: Value = host.local.call_within(SECOND, "first", "detached", ("second",)).await.unwrap();
    assert_eq!(left, json!(null), "a detached call inherits nothing");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_callers_time_ends_the_calls_of_all_hops() {
    let notes = Notes::default();
    let (host, began) = (host(&notes).await, Instant::now());
    let chain = (["second", "inner"],);
    let error = host.local.call_within::<Value>(SECOND, "first", "chain", chain).await.unwrap_err();
    assert_eq!(
        (began.elapsed(), error.to_string()),
        (SECOND, "chain of first did not complete within the caller's limit of 1s".to_owned(),)
    );
    settle().await;
    let mut ended = notes.take();
    ended.sort_by_key(|name| name.to_string());
    assert_eq!(ended, ["first", "inner", "second"]);
}

#[tokio::test(start_paused = true)]
async fn the_engine_ends_a_call_whose_caller_has_no_time_left() {
    let notes = Notes::default();
    let host = host(&notes).await;
    let (mut peer, _peers) = host.add_scripted("far", &["m"], true).await;
    for left in [400_u64, 0] {
        let mut request =
            json!({"action": "request", "id": 1, "name": "inner", "key": "chain", "payload": [["second"]]});
        request["timeLeft"] = left.into();
        let began = Instant::now();
        peer.send(request);
        let answer = peer.recv().await;
        assert_eq!((began.elapsed().as_millis() as u64, &answer["errorKind"]), (left, &json!("timedOut")), "{answer}");
    }
    for unusable in [json!(-5), json!("x"), json!(null), json!(1e300), json!([])] {
        let mut request = json!({"action": "request", "id": 1, "name": "first", "key": "left", "payload": []});
        request["timeLeft"] = unusable;
        peer.send(request.clone());
        assert_eq!(peer.recv().await["payload"], json!(null), "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_native_peer_receives_the_smaller_limit() {
    let host = Host::new().await;
    let options = || PluginOptions::default().queue_timeout(Duration::from_millis(200));
    for (name, native, within, expected) in
        [("a", true, 100, json!(100)), ("b", true, 1000, json!(200)), ("c", false, 100, json!(null))]
    {
        let (mut peer, _peers) = host.add_scripted_with(options(), name, &["m"], native).await;
        let local = host.local.clone();
        let limit = Duration::from_millis(within);
        let call = tokio::spawn(async move { local.call_within::<Value>(limit, name, "m", ()).await });
        assert_eq!(peer.recv().await["timeLeft"], expected, "{name}");
        let error = call.await.unwrap().unwrap_err();
        assert!(matches!(error, CallError::TimedOut(_)), "{error}");
    }
    let (mut peer, _peers) = host.add_scripted("d", &["m"], true).await;
    let _call = host.start::<Value>("d", "m", ());
    assert_eq!(to_json(&peer.recv().await).get("timeLeft"), None, "without a limit of the caller");
}
