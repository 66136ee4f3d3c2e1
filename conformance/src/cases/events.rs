//! Events over the link: each that is listened to arrives, once and in order, in both directions.

use serde_json::{Value, json};

use crate::failure::{Failure, Hint, same};
use crate::fixture::Fixture;
use crate::harness::{Lab, moment};
use crate::host::{Host, Notes};
use crate::scripted_peer::{HandHost, listen};
use connector_core::{Action, Message};

const EVENTS: &str = "messages that are doubled, lost or overtaken; and the actions on, off, emit and notification";

/// 10,000 events of the plugin's arrive in order, each once.
pub async fn ten_thousand_events_arrive_in_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = HandHost::new(Lab::open(fixture).await?, true).await?;
    let heard = Notes::default();
    host.local.on("probe", "e", heard.listener()).map_err(|error| Failure::new("a listener", error))?;
    for number in 0..10_000 {
        let payload = Some(connector_core::Payload::new((number,)));
        plugin.put(Message { key: Some("e".into()), payload, ..Message::new(Action::Emit) }).await?;
    }
    plugin.flush().await?;
    heard.wait(&host.has, 10_000).await?;
    moment().await;
    same("all events in order", &heard.all(), &(0..10_000).map(Value::from).collect()).look_at(EVENTS)
}

/// The engine's events arrive at the plugin in order, each once, however many there are.
pub async fn events_arrive_at_the_plugin_in_order(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = HandHost::new(Lab::open(fixture).await?, true).await?;
    listen(&mut plugin).await?;
    for batch in 0..10 {
        for step in 0..200 {
            let emitted = host.local.emit("tick", (batch * 200 + step,)).await;
            emitted.map_err(|error| Failure::new("an event", error))?;
        }
        for step in 0..200 {
            same("the next event", &number(&plugin.next().await?), &json!(batch * 200 + step)).look_at(EVENTS)?;
        }
    }
    moment().await;
    plugin.is_quiet().await.look_at(EVENTS)
}

fn number(event: &Message) -> Value {
    let args: Option<Vec<Value>> = event.payload.clone().and_then(|args| args.read().ok());
    args.and_then(|mut args| args.pop()).unwrap_or_default()
}

/// A listener hears an event until it is taken away, then no more.
pub async fn off_ends_listening(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Lab::open(fixture).await?).await?;
    let heard = Notes::default();
    host.local.on("probe", "e", heard.listener()).map_err(|error| Failure::new("a listener", error))?;
    host.call::<bool>("fire", ("e", 1)).await?;
    heard.wait(&host.has, 1).await?;
    host.local.off("probe", "e").map_err(|error| Failure::new("off", error))?;
    host.call::<bool>("fire", ("e", 2)).await?;
    moment().await;
    same("what was heard", &heard.all(), &vec![json!(1)]).look_at(EVENTS)
}

/// A plugin listens to another's events, once or until it has enough.
pub async fn a_plugin_listens(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Lab::open(fixture).await?).await?;
    let emit = async |number: i64| {
        host.local.emit("tick", (number,)).await.map_err(|error| Failure::new("an event", error))?;
        // What was emitted before a call arrives before it.
        host.call::<Value>("echo", (number,)).await.map(drop)
    };
    host.call::<bool>("watchOnce", ("local", "tick")).await?;
    moment().await;
    emit(1).await?;
    emit(2).await?;
    let heard = |numbers: &[i64]| -> Vec<Value> {
        numbers.iter().map(|number| json!({"name": "local", "key": "tick", "payload": [number]})).collect()
    };
    same("what once hears", &host.call::<Vec<Value>>("watched", ()).await?, &heard(&[1])).look_at(EVENTS)?;
    host.call::<bool>("unwatch", ("local", "tick")).await?;
    moment().await;
    emit(3).await?;
    same("what nobody hears", &host.call::<Vec<Value>>("watched", ()).await?, &heard(&[])).look_at(EVENTS)?;
    host.call::<bool>("watch", ("local", "tick")).await?;
    moment().await;
    emit(4).await?;
    emit(5).await?;
    let came = host.call::<Vec<Value>>("watched", ()).await?;
    let new: Vec<_> = came.into_iter().filter(|event| event["payload"] != json!([3])).collect();
    same("what on hears", &new, &heard(&[4, 5])).look_at(EVENTS)
}

/// An event and the answer that follows it arrive in the order in which the plugin sent them.
pub async fn an_answer_does_not_overtake_an_event(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Lab::open(fixture).await?).await?;
    let heard = Notes::default();
    host.local.on("probe", "e", heard.listener()).map_err(|error| Failure::new("a listener", error))?;
    for number in 0..200 {
        host.call::<bool>("fire", ("e", number)).await?;
        same("the events heard when the call has ended", &heard.all().len(), &(number + 1)).look_at(EVENTS)?;
    }
    Ok(())
}
