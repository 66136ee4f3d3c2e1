//! Events over the link: each subscribed event arrives once and in order, in both directions.

use serde_json::{Value, json};

use crate::failure::{Failure, Hint, same};
use crate::fixture::Fixture;
use crate::harness::{Harness, pause};
use crate::host::{Host, Notes};
use crate::scripted_peer::{ScriptedPluginHost, subscribe};
use connector_core::{Action, Message};

const EVENTS: &str = "duplicated, lost or reordered messages; and the actions on, off, emit and notification";

/// 10,000 of the plugin's events arrive in order, each once.
pub async fn ten_thousand_events_arrive_in_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let received = Notes::of_event("e", &host.local)?;
    for number in 0..10_000 {
        let payload = Some(connector_core::Payload::new((number,)));
        plugin.queue(Message { key: Some("e".into()), payload, ..Message::new(Action::Emit) }).await?;
    }
    plugin.flush().await?;
    received.wait(&host.has, 10_000).await?;
    pause().await;
    same("all events in order", &received.all(), &(0..10_000).map(Value::from).collect()).hint(EVENTS)
}

/// The engine's events arrive at the plugin in order, each once, however many there are.
pub async fn events_arrive_at_the_plugin_in_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    subscribe(&mut plugin).await?;
    for batch in 0..10 {
        for step in 0..200 {
            let emitted = host.local.emit("tick", (batch * 200 + step,)).await;
            emitted.map_err(|error| Failure::new("an event", error))?;
        }
        for step in 0..200 {
            same("the next event", &number(&plugin.next().await?), &json!(batch * 200 + step)).hint(EVENTS)?;
        }
    }
    pause().await;
    plugin.is_quiet().await.hint(EVENTS)
}

fn number(event: &Message) -> Value {
    let args: Option<Vec<Value>> = event.payload.clone().and_then(|args| args.read().ok());
    args.and_then(|mut args| args.pop()).unwrap_or_default()
}

/// A listener receives events until it is removed.
pub async fn off_removes_the_listener(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let received = Notes::of_event("e", &host.local)?;
    host.call::<bool>("fire", ("e", 1)).await?;
    received.wait(&host.has, 1).await?;
    host.local.off("probe", "e").map_err(|error| Failure::new("off", error))?;
    host.call::<bool>("fire", ("e", 2)).await?;
    pause().await;
    same("the received events", &received.all(), &vec![json!(1)]).hint(EVENTS)
}

/// A plugin listens to another plugin's events, once or until it removes the listener.
pub async fn a_plugin_listens(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let emit = async |number: i64| {
        host.local.emit("tick", (number,)).await.map_err(|error| Failure::new("an event", error))?;
        // Events emitted before a call arrive before it.
        host.call::<Value>("echo", (number,)).await.map(drop)
    };
    host.call::<bool>("watchOnce", ("local", "tick")).await?;
    pause().await;
    emit(1).await?;
    emit(2).await?;
    let received = |numbers: &[i64]| -> Vec<Value> {
        numbers.iter().map(|number| json!({"name": "local", "key": "tick", "payload": [number]})).collect()
    };
    same("the events received with once", &host.call::<Vec<Value>>("watched", ()).await?, &received(&[1]))
        .hint(EVENTS)?;
    host.call::<bool>("unwatch", ("local", "tick")).await?;
    pause().await;
    emit(3).await?;
    same("the events without a listener", &host.call::<Vec<Value>>("watched", ()).await?, &received(&[]))
        .hint(EVENTS)?;
    host.call::<bool>("watch", ("local", "tick")).await?;
    pause().await;
    emit(4).await?;
    emit(5).await?;
    let watched = host.call::<Vec<Value>>("watched", ()).await?;
    let new: Vec<_> = watched.into_iter().filter(|event| event["payload"] != json!([3])).collect();
    same("the events received with on", &new, &received(&[4, 5])).hint(EVENTS)
}

/// An event and the response that follows it arrive in the order in which the plugin sent them.
pub async fn a_response_does_not_overtake_an_event(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let received = Notes::of_event("e", &host.local)?;
    for number in 0..200 {
        host.call::<bool>("fire", ("e", number)).await?;
        same("the events received when the call has ended", &received.all().len(), &(number + 1)).hint(EVENTS)?;
    }
    Ok(())
}
