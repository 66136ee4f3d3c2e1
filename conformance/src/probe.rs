//! The two plugins of every script, the same as the published packages are tried with.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::runtime;
use crate::runtime::lock;
use connector_core::{CallError, Context, Fault, Json, Payload, Plugin, Profile, Rest, Service};

/// An event as a script or the probe has heard it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Heard {
    pub(super) name: String,
    pub(super) key: String,
    pub(super) payload: Rest,
}

/// What was heard, in order.
#[derive(Clone, Default)]
pub(super) struct Ear(Arc<Mutex<Vec<Heard>>>);

impl Ear {
    /// A listener that remembers an event of `name`.
    pub(super) fn listener(&self, name: String, key: String) -> impl Fn(Rest) + Send + Sync + use<> {
        let heard = Arc::clone(&self.0);
        move |payload: Rest| lock(&heard).push(Heard { name: name.clone(), key: key.clone(), payload })
    }

    pub(super) fn drain(&self) -> Vec<Heard> {
        std::mem::take(&mut lock(&self.0))
    }
}

/// The plugin under test, with one method for each thing a plugin can do, and a service `tools`.
///
/// Each has an ear of its own: make one for each engine.
pub fn probe() -> Plugin {
    let ear = Ear::default();
    let (watches, watches_once, watched) = (ear.clone(), ear.clone(), ear);
    Plugin::new("probe")
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
            let heard = watched.drain();
            async move { Ok::<_, CallError>(heard) }
        })
        .service("tools", Service::new().method("ping", || async { "pong" }))
}

/// A plugin of the engine's own process: what the probe relays to and listens to.
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

/// `a + b` as JavaScript has it: numbers add, a string joins, anything else is not a number.
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

/// A value as JavaScript makes it a string.
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
