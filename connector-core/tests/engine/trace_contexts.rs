//! The trace that a call belongs to, from its caller to its target and to the calls made for it.

use connector_core::{ClientConfig, Context, Observation, ObservedCall, Observer, Plugin, PluginOptions, TraceContext};
use serde_json::{Value, json};

use crate::scripted_peer::plugin_with_scripted_engine;
use crate::support::{Host, Notes, settle, soon};

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01";

fn trace() -> TraceContext {
    TraceContext::new(PARENT, Some("vendor=1")).unwrap()
}

/// `trace` returns the two fields of its call's trace, and `relay` those that another plugin sees.
fn plugin(name: &str) -> Plugin {
    let fields = |ctx: Context| async move {
        ctx.trace().map(|trace| vec![trace.traceparent().to_owned(), trace.tracestate().unwrap_or_default().to_owned()])
    };
    let relay = |ctx: Context, to: String| async move { ctx.client().call::<Value>(&to, "trace", ()).await };
    let detached =
        |ctx: Context, to: String| async move { ctx.client().detached().call::<Value>(&to, "trace", ()).await };
    Plugin::new(name).method("trace", fields).method("relay", relay).method("detached", detached)
}

async fn host() -> Host {
    let host = Host::new().await;
    host.engine.register(plugin("end")).unwrap();
    host.engine.register(plugin("inner")).unwrap();
    host.add(|| plugin("outer")).await;
    host
}

#[tokio::test(start_paused = true)]
async fn a_trace_continues_through_methods_and_links() {
    let host = host().await;
    let traced = host.local.with_trace(trace());
    for (target, method, to) in [("inner", "relay", "end"), ("outer", "relay", "end"), ("inner", "relay", "outer")] {
        let seen: Value = traced.call(target, method, (to,)).await.unwrap();
        assert_eq!(seen, json!([PARENT, "vendor=1"]), "{target} → {to}");
        let seen: Value = host.local.call(target, method, (to,)).await.unwrap();
        assert_eq!(seen, json!(null), "a call without a trace has none");
    }
    assert_eq!(traced.call::<Value>("outer", "detached", ("end",)).await.unwrap(), json!(null));
}

#[tokio::test(start_paused = true)]
async fn a_native_peer_receives_the_trace_and_a_published_one_does_not() {
    let host = Host::new().await;
    for (name, native) in [("native", true), ("published", false)] {
        let (mut peer, _peers) = host.add_scripted(name, &["m"], native).await;
        let traced = host.local.with_trace(trace());
        let _call = tokio::spawn(async move { traced.call::<Value>(name, "m", ()).await });
        let request = peer.recv().await;
        let expected = if native { (json!(PARENT), json!("vendor=1")) } else { (json!(null), json!(null)) };
        assert_eq!((request["traceparent"].clone(), request["tracestate"].clone()), expected);
        assert_eq!(request.get("timeLeft"), None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_published_plugin_continues_the_trace_of_the_only_call_that_it_runs() {
    let host = host().await;
    let options = PluginOptions::default().concurrency(2);
    let (mut peer, _peers) = host.add_scripted_with(options, "far", &["m"], false).await;
    let seen = async |peer: &mut crate::scripted_peer::Peer, id: i64| {
        peer.send(json!({"action": "request", "id": id, "name": "end", "key": "trace", "payload": []}));
        peer.recv().await["payload"].clone()
    };
    let call = |traced: bool| {
        let client = if traced { host.local.with_trace(trace()) } else { host.local.clone() };
        tokio::spawn(async move { client.call::<Value>("far", "m", ()).await })
    };
    let traced = call(true);
    let request = peer.recv().await;
    assert_eq!(seen(&mut peer, 1).await, json!([PARENT, "vendor=1"]), "one call runs");
    let other = call(false);
    let second = peer.recv().await;
    assert_eq!(seen(&mut peer, 2).await, json!(null), "it may belong to either of two");
    peer.answer(&request, json!(1));
    soon(traced).await.unwrap().unwrap();
    assert_eq!(seen(&mut peer, 3).await, json!(null), "the one that still runs has no trace");
    peer.answer(&second, json!(1));
    soon(other).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_native_peer_names_its_traces_itself() {
    let host = host().await;
    let (mut peer, _peers) = host.add_scripted("far", &["m"], true).await;
    let traced = host.local.with_trace(trace());
    let _call = tokio::spawn(async move { traced.call::<Value>("far", "m", ()).await });
    peer.recv().await;
    let long = "x".repeat(TraceContext::MAX_STATE + 1);
    let none = json!(null);
    for (parent, state, expected) in [
        (none.clone(), none.clone(), none.clone()),
        (json!(OTHER), none.clone(), json!([OTHER, ""])),
        (json!(OTHER), json!("a=\"1\""), json!([OTHER, "a=\"1\""])),
        (json!(OTHER), json!(long), json!([OTHER, ""])),
        (json!("x".repeat(TraceContext::MAX_PARENT + 1)), json!("a=1"), none.clone()),
        (json!(5), json!("a=1"), none.clone()),
        (json!(""), json!("a=1"), none),
    ] {
        let mut request = json!({"action": "request", "id": 1, "name": "end", "key": "trace", "payload": []});
        request["tracestate"] = state;
        request["traceparent"] = parent;
        peer.send(request.clone());
        assert_eq!(peer.recv().await["payload"], expected, "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn fields_that_a_published_engine_echoes_are_ignored() {
    let (client, mut peer) = plugin_with_scripted_engine(plugin("p"), ClientConfig::default(), false).await;
    let call = tokio::spawn(async move { client.with_trace(trace()).call::<i64>("app", "m", ()).await });
    let mut answer = peer.recv().await;
    assert_eq!(answer.get("traceparent"), None);
    answer["action"] = "response".into();
    answer["payload"] = 5.into();
    answer["traceparent"] = PARENT.into();
    answer["timeLeft"] = 0.into();
    peer.send(answer);
    assert_eq!(soon(call).await.unwrap().unwrap(), 5);
}

/// Gives each call its own trace.
struct Tracer(Notes);

impl Observer for Tracer {
    fn observe(&self, observation: &Observation<'_>) {
        if let Observation::CallStarted { call, .. } = observation {
            self.0.add(call.trace.map(TraceContext::traceparent));
        }
    }

    fn trace(&self, call: &ObservedCall<'_>) -> Option<TraceContext> {
        (call.to != "inner").then(|| TraceContext::new(OTHER, None)).flatten()
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_replaces_the_trace_that_continues() {
    let (host, notes) = (host().await, Notes::default());
    let tracer = host.engine.observe(Tracer(notes.clone()));
    assert_eq!(host.local.call::<Value>("end", "trace", ()).await.unwrap(), json!([OTHER, ""]));
    assert_eq!(host.local.with_trace(trace()).call::<Value>("outer", "trace", ()).await.unwrap(), json!([OTHER, ""]));
    assert_eq!(notes.take(), [json!(null), json!(PARENT)], "it sees the caller's");
    let traced = host.local.with_trace(trace());
    assert_eq!(traced.call::<Value>("inner", "trace", ()).await.unwrap(), json!([PARENT, "vendor=1"]));
    drop(tracer);
    settle().await;
    assert_eq!(host.local.call::<Value>("end", "trace", ()).await.unwrap(), json!(null));
}
