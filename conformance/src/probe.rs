//! The two plugins of every script, the same ones that the published packages are tested with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::runtime;
use crate::runtime::lock;
use connector_core::{CallError, Context, Engine, Fault, Json, Payload, Plugin, PluginClient, Profile, Rest, Service};

/// An event as the script or the probe received it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ReceivedEvent {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) payload: Rest,
}

/// Records received events, in order.
#[derive(Clone, Default)]
pub(super) struct Recorder(Arc<Mutex<Vec<ReceivedEvent>>>);

impl Recorder {
    /// A listener that records an event of `name`.
    pub(super) fn listener(&self, name: String, key: String) -> impl Fn(Rest) + Send + Sync + use<> {
        let events = Arc::clone(&self.0);
        move |payload: Rest| lock(&events).push(ReceivedEvent { name: name.clone(), key: key.clone(), payload })
    }

    pub(super) fn drain(&self) -> Vec<ReceivedEvent> {
        std::mem::take(&mut lock(&self.0))
    }
}

/// An engine in which this plugin is registered and active, and the plugin's handle.
///
/// # Panics
/// The plugin cannot be registered or activated.
pub async fn engine_with(plugin: Plugin) -> (Engine, PluginClient) {
    let engine = Engine::new();
    let name = plugin.name().to_owned();
    let client = engine.register(plugin).unwrap();
    engine.manager().activate(&name).await.unwrap();
    (engine, client)
}

/// The plugin under test, with a method for each feature of a plugin, and a service `tools`.
///
/// Each probe records its own events: make one for each engine.
pub fn probe() -> Plugin {
    probe_named("probe")
}

/// As [`probe`], under another name.
pub fn probe_named(name: &str) -> Plugin {
    let recorder = Recorder::default();
    let (watches, watches_once, watched) = (recorder.clone(), recorder.clone(), recorder);
    Plugin::new(name)
        .method("echo", echo)
        .method("add", add)
        .method("fail", |message: Rest| async move { Err::<(), _>(error(&message)) })
        .method("slow", slow)
        .method(
            "whoami",
            |ctx: Context| async move { Json(serde_json::json!({ "from": ctx.from(), "path": ctx.path() })) },
        )
        .method("fire", |ctx: Context, key: String, payload: Rest| async move {
            ctx.client().emit(&key, payload).await.map(|()| true)
        })
        .method("relay", |ctx: Context, name: String, method: String, args: Rest| async move {
            ctx.client().call::<Payload>(&name, &method, args).await
        })
        .method("watch", move |ctx: Context, name: String, key: String| {
            let listener = watches.listener(name.clone(), key.clone());
            async move { ctx.client().on(&name, &key, listener).map(|()| true) }
        })
        .method("watchOnce", move |ctx: Context, name: String, key: String| {
            let listener = watches_once.listener(name.clone(), key.clone());
            async move { ctx.client().once(&name, &key, listener).map(|()| true) }
        })
        .method("unwatch", |ctx: Context, name: String, key: String| async move {
            ctx.client().off(&name, &key).map(|()| true)
        })
        .method("watched", move || {
            let events = watched.drain();
            async move { Ok::<_, CallError>(events) }
        })
        .service("tools", Service::new().method("ping", || async { "pong" }))
}

/// A plugin in the engine's process, which the probe relays calls to and listens to.
pub fn local() -> Plugin {
    Plugin::new(Profile::new("local").with_events(["tick"]))
        .method("echo", echo)
        .method("add", add)
        .method("refuse", || async { Err::<(), _>("local refuses") })
        .method("slow", slow)
}

async fn echo(value: Payload) -> Payload {
    value
}

async fn slow(ms: u64, value: Payload) -> Payload {
    runtime::sleep(Duration::from_millis(ms)).await;
    value
}

/// `a + b` as in JavaScript: numbers add, strings concatenate, anything else is not a number.
async fn add(a: Value, b: Value) -> Value {
    match (&a, &b) {
        (Value::String(_), _) | (_, Value::String(_)) => (text(&a) + &text(&b)).into(),
        (Value::Number(_) | Value::Bool(_), Value::Number(_) | Value::Bool(_)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) if a.checked_add(b).is_some() => (a + b).into(),
            _ => (number(&a) + number(&b)).into(),
        },
        _ => Value::Null,
    }
}

fn number(value: &Value) -> f64 {
    match value {
        Value::Bool(yes) => f64::from(u8::from(*yes)),
        other => other.as_f64().unwrap_or(f64::NAN),
    }
}

/// A value converted to a string as in JavaScript.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(_) => "[object Object]".to_owned(),
        other => other.to_string(),
    }
}

/// `new Error(message)`.
fn error(message: &Rest) -> Fault {
    let message = message.0.first().cloned().map(Payload::read::<Value>);
    Fault::new(
        message.map_or(String::new(), |message| message.map_or_else(|error| error.to_string(), |value| text(&value))),
    )
}
