//! For every pair of transports, a plugin on one calls a plugin on the other through one engine and receives its events.
#![cfg(all(feature = "ipc", feature = "socketio", feature = "worker", feature = "ws"))]

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_core::{Context, Engine, Json, Payload, Plugin, PluginClient, Registration, Rest, runtime};
use serde_json::{Value, json};
use support::{End, IPC_PLUGIN, NATIVE_PLUGIN, Plugin as Process, SOCKETIO_PLUGIN};
use transport_ipc::{ChannelKind, Program, local};
use transport_worker::{Placement, WorkerConfig};

const LOCATIONS: [&str; 9] =
    ["here", "websocket", "socketio", "stdio child", "node child", "socket child", "local socket", "thread", "task"];

/// The plugin `name` at a location, and a guard that keeps it running.
async fn at(location: &str, name: &'static str) -> (Registration, Box<dyn std::any::Any>) {
    let child = |kind| transport_ipc::child(name, Program::new(IPC_PLUGIN).channel(kind));
    let worker = |placement| {
        transport_worker::worker_with(name, move || named(name), WorkerConfig::default().placement(placement))
    };
    let alone = |registration| (registration, Box::new(()) as Box<dyn std::any::Any>);
    match location {
        "here" => alone(Registration::from(named(name))),
        "websocket" => {
            let process = Process::start(End::Native(NATIVE_PLUGIN), 0);
            (transport_ws::plugin(name, &process.url), Box::new(process))
        }
        "socketio" => {
            let process = Process::start(End::Native(SOCKETIO_PLUGIN), 0);
            (transport_socketio::plugin(name, &process.url), Box::new(process))
        }
        "stdio child" => alone(child(ChannelKind::Stdio)),
        "node child" => alone(child(ChannelKind::Node)),
        "socket child" => alone(child(ChannelKind::Local)),
        "local socket" => {
            static NEXT: AtomicUsize = AtomicUsize::new(0);
            let address = format!("pairs-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
            let (url, serving) = local::serve(&address, move || named(name)).unwrap();
            let serving = runtime::spawn(async { drop(serving.await) });
            (local::plugin(name, &url), Box::new(serving))
        }
        "thread" => alone(worker(Placement::Thread)),
        "task" => alone(worker(Placement::Task)),
        other => unreachable!("{other}"),
    }
}

/// The methods of the probe that these tests use, under another name.
fn named(name: &'static str) -> Plugin {
    let events = Arc::new(Mutex::new(Vec::<Value>::new()));
    let recorder = events.clone();
    Plugin::new(name)
        .method("echo", |value: Value| async move { Json(value) })
        .method("whoami", |ctx: Context| async move { Json(json!({ "from": ctx.from() })) })
        .method("relay", |ctx: Context, name: String, method: String, args: Rest| async move {
            ctx.client().call::<Payload>(&name, &method, args).await
        })
        .method("fire", |ctx: Context, key: String, payload: Rest| async move {
            ctx.client().emit(&key, payload).await.map(|()| true)
        })
        .method("watch", move |ctx: Context, name: String, key: String| {
            let recorder = recorder.clone();
            async move {
                let (from, event) = (name.clone(), key.clone());
                let listener = move |payload: Rest| {
                    recorder.lock().unwrap().push(json!({ "name": from, "key": event, "payload": payload }));
                };
                ctx.client().on(&name, &key, listener).map(|()| true)
            }
        })
        .method("watched", move || {
            let events = std::mem::take(&mut *events.lock().unwrap());
            async move { Json(Value::from(events)) }
        })
}

async fn relayed(local: &PluginClient, from: &str, to: &str, method: &str, args: &[Value]) -> Value {
    let args = [json!(to), json!(method)].into_iter().chain(args.iter().cloned());
    let call = local.call::<Value>(from, "relay", Rest(args.map(Payload::new).collect()));
    tokio::time::timeout(Duration::from_secs(30), call).await.expect("it hangs").unwrap()
}

#[tokio::test]
async fn a_plugin_on_any_transport_calls_a_plugin_on_any_other() {
    for from in LOCATIONS {
        for to in LOCATIONS {
            let engine = Engine::new();
            let local = engine.register(Plugin::new("local")).unwrap();
            let ((caller, _caller), (callee, _callee)) = (at(from, "caller").await, at(to, "callee").await);
            engine.register(caller).unwrap();
            engine.register(callee).unwrap();
            for name in ["local", "caller", "callee"] {
                engine.manager().activate(name).await.unwrap_or_else(|error| panic!("{from} → {to}: {error}"));
            }
            let text = "\u{2028}grüße \u{1f980}".repeat(1000);
            let back = relayed(&local, "caller", "callee", "echo", &[json!(text)]).await;
            assert!(back == json!(text), "{from} → {to}: the text came back changed");
            let whoami = relayed(&local, "caller", "callee", "whoami", &[]).await;
            assert_eq!(whoami["from"], "caller", "{from} → {to}");
            // The caller receives the callee's event; each is behind its own link.
            assert!(local.call::<bool>("caller", "watch", ("callee", "rang")).await.unwrap());
            relayed(&local, "caller", "callee", "fire", &[json!("rang"), json!(1), json!("two")]).await;
            let events = loop {
                let events = local.call::<Value>("caller", "watched", ()).await.unwrap();
                if events != json!([]) {
                    break events;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            };
            assert_eq!(events, json!([{ "name": "callee", "key": "rang", "payload": [1, "two"] }]), "{from} → {to}");
            engine.shutdown().await;
        }
    }
}
