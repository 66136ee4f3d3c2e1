//! The functions that the page calls.
#![allow(unreachable_pub, reason = "wasm-bindgen exports public functions alone")]

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, OnceLock};

use conformance::{Script, local, run_script};
use connector_core::runtime::{Task, now, spawn};
use connector_core::{
    Engine, Json, LinkState, Payload, Plugin, PluginClient, Profile, RegisterError, Registration, Rest,
};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Value, json};
use transport_web::{IframeConfig, Mount, View, iframe_with, port, shared_worker, websocket, worker};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::js_sys::{self, Array, Function};
use web_sys::{HtmlIFrameElement, MessageChannel, MessagePort, Window, Worker, WorkerOptions, WorkerType};

/// Most states that are kept of a plugin's link.
const MAX_STATES: usize = 100;

type States = Arc<Mutex<HashMap<String, Vec<Value>>>>;

struct Page {
    engine: Engine,
    host: PluginClient,
    local: OnceLock<PluginClient>,
    states: States,
    watches: Mutex<Vec<Task>>,
}

fn page() -> &'static Page {
    static PAGE: OnceLock<Page> = OnceLock::new();
    PAGE.get_or_init(|| {
        let engine = Engine::new();
        let host = engine.register(host()).expect("the first plugin");
        engine.register(theme()).expect("another name");
        Page { engine, host, local: OnceLock::new(), states: States::default(), watches: Mutex::default() }
    })
}

/// Shows frames in the page's body.
fn host() -> Plugin {
    Plugin::new("host")
        .method("addView", |_: Profile, View(frame): View| async move { append(&frame).map_err(text) })
        .method("removeView", |_: Profile| async {})
}

fn append(frame: &HtmlIFrameElement) -> Result<(), JsValue> {
    let body = window().and_then(|window| window.document()).and_then(|document| document.body());
    body.ok_or("the page has no body")?.append_child(frame).map(drop)
}

fn window() -> Option<Window> {
    js_sys::global().dyn_into().ok()
}

/// The published iframe client takes its style sheet from here.
fn theme() -> Plugin {
    Plugin::new("theme").method("currentTheme", || async {
        let origin = window().and_then(|window| window.location().origin().ok()).unwrap_or_default();
        Json(json!({ "name": "dark", "quality": "dark", "url": format!("{origin}/theme.css") }))
    })
}

fn text(error: impl Into<JsValue>) -> String {
    let error = error.into();
    let error = error.dyn_ref::<js_sys::Error>().map_or(error.as_string(), |error| Some(error.message().into()));
    error.unwrap_or_else(|| "unknown".to_owned())
}

fn thrown(error: impl Error) -> JsValue {
    js_sys::Error::new(&error.to_string()).into()
}

/// A plugin in a frame names the plugin that shows it.
fn registration(kind: &str, name: &str, url: &str) -> Registration {
    match kind {
        "worker" => worker(name, url),
        "shared-worker" => shared_worker(name, url),
        "port" => {
            let url = url.to_owned();
            port(name, move || worker_port(&url))
        }
        "websocket" => websocket(name, url),
        _ => {
            let mut profile = Profile::new(name);
            profile.location = Some("host".to_owned());
            let config = IframeConfig::default().mount(Mount::Location(page().host.clone()));
            let config = if kind == "opaque" { config.sandbox(Some("allow-scripts")) } else { config };
            iframe_with(profile, url, config)
        }
    }
}

/// A port whose other end a new worker receives.
fn worker_port(url: &str) -> Result<MessagePort, JsValue> {
    let options = WorkerOptions::new();
    options.set_type(WorkerType::Module);
    let worker = Worker::new_with_options(url, &options)?;
    let channel = MessageChannel::new()?;
    worker.post_message_with_transfer(&JsValue::NULL, &Array::of1(&channel.port2()))?;
    Ok(channel.port1())
}

fn register(kind: &str, name: &str, url: &str) -> Result<(), RegisterError> {
    let Page { engine, states, watches, .. } = page();
    engine.register(registration(kind, name, url))?;
    let Some(mut state) = engine.link_state(name) else { return Ok(()) };
    let (states, name) = (Arc::clone(states), name.to_owned());
    let watch = async move {
        loop {
            let seen = described(&state.borrow_and_update());
            if let Ok(mut states) = states.lock() {
                let states = states.entry(name.clone()).or_default();
                states.push(seen);
                let surplus = states.len().saturating_sub(MAX_STATES);
                states.drain(..surplus);
            }
            if state.changed().await.is_err() {
                break;
            }
        }
    };
    if let Ok(mut watches) = watches.lock() {
        watches.push(spawn(watch));
    }
    Ok(())
}

fn described(state: &LinkState) -> Value {
    match state {
        LinkState::Inactive => json!({ "state": "inactive" }),
        LinkState::Connecting => json!({ "state": "connecting" }),
        LinkState::Up => json!({ "state": "up" }),
        LinkState::Down { why, tries } => json!({ "state": "down", "why": why.to_string(), "tries": tries }),
        state => json!({ "state": state.to_string() }),
    }
}

/// Activates the plugin that shows frames.
async fn activate_host() -> Result<(), JsValue> {
    page().engine.manager().activate("host").await.map_err(thrown)
}

/// The plugin that calls on behalf of the page.
async fn caller() -> Result<&'static PluginClient, JsValue> {
    let Page { engine, local: client, .. } = page();
    activate_host().await?;
    if client.get().is_none() {
        let registered = engine.register(local()).map_err(thrown)?;
        let _ = client.set(registered);
        engine.manager().activate("local").await.map_err(thrown)?;
    }
    client.get().ok_or_else(|| JsValue::from("no client"))
}

/// Runs a script with the plugin `probe` at `url` and calls `report` with each line.
#[wasm_bindgen]
pub async fn run(kind: String, url: String, script: String, report: Function) -> Result<(), JsValue> {
    let script = Script::parse(&script).map_err(thrown)?;
    activate_host().await?;
    register(&kind, "probe", &url).map_err(thrown)?;
    let report = |line: String| drop(report.call1(&JsValue::NULL, &JsValue::from(line)));
    run_script(&page().engine, &script, report).await.map_err(thrown)
}

/// Registers a plugin and activates it.
#[wasm_bindgen]
pub async fn activate(kind: String, name: String, url: String) -> Result<(), JsValue> {
    caller().await?;
    register(&kind, &name, &url).map_err(thrown)?;
    page().engine.manager().activate(&name).await.map_err(thrown)
}

/// Deactivates a plugin.
#[wasm_bindgen]
pub async fn deactivate(name: String) -> Result<(), JsValue> {
    page().engine.manager().deactivate(&name).await.map_err(thrown)
}

/// Calls a method from `local`. Arguments and result are JSON.
#[wasm_bindgen]
pub async fn call(plugin: String, method: String, args: String) -> Result<String, JsValue> {
    let args: Vec<Value> = serde_json::from_str(&args).map_err(thrown)?;
    let args = Rest(args.into_iter().map(Payload::new).collect());
    let result: Payload = caller().await?.call(&plugin, &method, args).await.map_err(thrown)?;
    Ok(String::from_utf8_lossy(&result.to_json().map_err(thrown)?).into_owned())
}

/// The states that a plugin's link has had, as JSON, oldest first.
#[wasm_bindgen]
pub fn link_states(name: String) -> String {
    let states = page().states.lock().ok().and_then(|states| states.get(&name).cloned());
    Value::from(states.unwrap_or_default()).to_string()
}

/// Calls `add` of a probe at `url`, so many times, so many at once. Returns the seconds that it took.
#[wasm_bindgen]
pub async fn run_bench(kind: String, url: String, calls: u32, in_flight: u32) -> Result<f64, JsValue> {
    let local = caller().await?;
    let Page { engine, .. } = page();
    if !engine.is_registered("probe") {
        engine.register(registration(&kind, "probe", &url)).map_err(thrown)?;
    }
    engine.manager().activate("probe").await.map_err(thrown)?;
    let started = now();
    let calls = (0..calls).map(|_| local.call::<f64>("probe", "add", (1, 2)));
    stream::iter(calls)
        .map(Ok)
        .try_for_each_concurrent(in_flight as usize, |call| async { call.await.map(drop) })
        .await
        .map_err(thrown)?;
    let seconds = started.elapsed().as_secs_f64();
    engine.manager().deactivate("probe").await.map_err(thrown)?;
    engine.remove("probe").await;
    Ok(seconds)
}
