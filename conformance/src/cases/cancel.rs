//! A cancelled call is cancelled at the other end too, and no other call is.

use serde_json::Value;

use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{Harness, pair, pause};
use crate::host::{Host, Notes, subject};
use crate::scripted_peer::{ScriptedPluginHost, request, response, start_plugin};
use connector_core::{Action, CallError, Message, Payload};

const CANCEL: &str = "messages with the action cancel, which carry an id or a name, and nothing else";

/// Dropping a call's future drops the plugin's method; another call of the same method continues.
pub async fn a_dropped_call_is_cancelled(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let mut given_up = host.start("hang", ("one",));
    host.notes.wait(&host.has, 1).await?;
    let _other = host.start("hang", ("two",));
    host.notes.wait(&host.has, 2).await?;
    given_up.drop_call();
    let noted = host.notes.wait(&host.has, 3).await.hint(CANCEL)?;
    same("the method that was dropped", &noted[2], &Value::from("one dropped")).hint(CANCEL)?;
    pause().await;
    same("the recorded values", &host.notes.all().len(), &3)
}

/// A cancel carries the id of its call, and a late response is ignored.
pub async fn a_cancel_names_its_call(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let mut given_up = host.start("echo", (1,));
    let first = plugin.next().await?;
    let mut other = host.start("echo", (2,));
    let second = plugin.next().await?;
    given_up.drop_call();
    let cancel = plugin.next().await.hint(CANCEL)?;
    same("the cancel", &(cancel.action, cancel.id), &(Action::Cancel, first.id.clone())).hint(CANCEL)?;
    plugin.send(response(&first, Some(Payload::new(1)))).await?;
    plugin.send(response(&second, Some(Payload::new(2)))).await?;
    let result = other.outcome(&host.has).await?.map_err(|error| Failure::new("a result", error))?;
    same("the other call's result", &result.read::<i64>().ok(), &Some(2))
}

/// Dropping a plugin's own call cancels it at the engine by its id.
pub async fn a_plugins_dropped_call_is_cancelled(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, plugin, _harness) = pair(fixture).await?;
    let (mut engine, client, _task) = start_plugin(engine, plugin, subject(&Notes::default())).await?;
    let call = crate::runtime::spawn(async move { drop(client.call::<Value>("x", "y", ()).await) });
    let request = engine.next().await?;
    drop(call);
    let cancel = engine.next().await.hint(CANCEL)?;
    same("the cancel", &(cancel.action, cancel.id), &(Action::Cancel, request.id)).hint(CANCEL)
}

/// Cancelling by name ends all calls of that method as cancelled, and no other.
pub async fn cancelling_by_name_ends_every_call_of_the_method(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let mut calls = [host.start("hang", ("one",)), host.start("hang", ("two",))];
    let mut other = host.start("slow", (300, 1));
    host.notes.wait(&host.has, 2).await?;
    host.local.cancel("probe", Some("hang")).await.map_err(|error| Failure::new("a cancel", error))?;
    for call in &mut calls {
        let outcome = call.outcome(&host.has).await?;
        check(matches!(outcome, Err(CallError::Cancelled(_))), || Failure::new("a cancelled call", shown(&outcome)))?;
    }
    host.notes.wait(&host.has, 4).await.hint(CANCEL)?;
    let outcome = other.outcome(&host.has).await?;
    check(outcome.is_ok(), || Failure::new("another method's result", shown(&outcome)))
}

/// Cancels of completed or unknown calls, and those right behind their request, are handled.
pub async fn cancels_of_unknown_calls_are_ignored(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, plugin, _harness) = pair(fixture).await?;
    let notes = Notes::default();
    let (mut engine, _client, _task) = start_plugin(engine, plugin, subject(&notes)).await?;
    let cancel = |id: i64| Message { id: Some(id.into()), ..Message::new(Action::Cancel) };
    engine.send(cancel(77)).await?;
    for id in 1..50 {
        engine.queue(request(id, "hang", Payload::new((id.to_string(),)))).await?;
        engine.queue(cancel(id)).await?;
    }
    engine.queue(request(50, "echo", Payload::new((5,)))).await?;
    engine.flush().await?;
    same("the only response", &engine.next().await?.id, &Some(50.into())).hint(CANCEL)?;
    pause().await;
    let open = notes.all().iter().filter(|note| note.as_str().is_some_and(|note| note.ends_with("starts"))).count();
    same("the methods dropped", &(notes.all().len() - open), &open).hint(CANCEL)
}
