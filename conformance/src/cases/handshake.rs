//! The handshake between an engine and a plugin, the first and later ones.

use serde_json::Value;

use crate::failure::{Failure, Hint, check, same, shown};
use crate::fixture::Fixture;
use crate::harness::{Harness, pair, pause};
use crate::host::{Host, Notes, subject};
use crate::scripted_peer::{ScriptedPluginHost, handshake, request, response, start_plugin};
use connector_core::{Action, Message, Payload};

/// The engine learns the plugin's methods in the handshake.
pub async fn the_handshake_carries_the_methods(fixture: &dyn Fixture) -> Result<(), Failure> {
    let host = Host::new(Harness::open(fixture).await?).await?;
    let methods = host.manager().profile("probe").and_then(|profile| profile.methods).unwrap_or_default();
    let has = |name: &str| methods.iter().any(|method| method == name);
    check(has("echo") && has("hang"), || Failure::new("echo and hang among the plugin's methods", shown(&methods)))
}

/// A plugin requests the handshake with the id -1 as soon as it is connected, and responds to the engine's.
pub async fn the_plugin_requests_the_handshake(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, plugin, _harness) = pair(fixture).await?;
    let (_engine, client, _task) = start_plugin(engine, plugin, subject(&Notes::default())).await?;
    same("the plugin's name", &&*client.name(), &"probe")
}

/// A repeated handshake gets a response and does not reset the plugin.
pub async fn a_second_handshake_resets_nothing(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (engine, plugin, _harness) = pair(fixture).await?;
    let notes = Notes::default();
    let activated = notes.clone();
    let made = subject(&notes).on_activation(move |_| {
        activated.add("activated");
        async {}
    });
    let (mut engine, _client, _task) = start_plugin(engine, plugin, made).await?;
    engine.send(request(1, "hang", Payload::new(("one",)))).await?;
    handshake(&mut engine, 5).await?;
    handshake(&mut engine, 6).await?;
    engine.send(request(7, "echo", Payload::new((5,)))).await?;
    same("the response's id", &engine.next().await?.id, &Some(7.into()))?;
    pause().await;
    let expected: [Value; 2] = ["activated".into(), "one starts".into()];
    same("the plugin's recorded values", &notes.all(), &expected.to_vec())
}

/// A request before the handshake is refused, and the link stays up.
pub async fn a_request_before_the_handshake_is_refused(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (mut engine, plugin, _harness) = pair(fixture).await?;
    let made = subject(&Notes::default());
    let (_client, session) = connector_core::connect(plugin.into_link(), made, connector_core::ClientConfig::default());
    let _task = crate::runtime::spawn(async { drop(session.await) });
    engine.next().await?;
    engine.send(request(3, "echo", Payload::new((5,)))).await?;
    let refused = engine.next().await?;
    check(refused.id == Some(3.into()) && refused.error.is_some(), || Failure::new("an error for 3", shown(&refused)))?;
    handshake(&mut engine, 4).await.map(drop)
}

/// The engine repeats the handshake when the plugin requests it, and calls in flight continue.
pub async fn the_engine_repeats_the_handshake_on_request(fixture: &dyn Fixture) -> Result<(), Failure> {
    let (host, mut plugin) = ScriptedPluginHost::new(Harness::open(fixture).await?, true).await?;
    let mut call = host.start("echo", ("x",));
    let request = plugin.next().await?;
    plugin
        .send(Message { key: Some("handshake".into()), id: Some((-1).into()), ..Message::new(Action::Request) })
        .await?;
    let again = plugin.next().await.hint("requests that carry the id -1")?;
    same("the engine's handshake", &again.key.as_deref(), &Some("handshake"))?;
    plugin.send(response(&again, Some(Payload::new(vec!["echo"])))).await?;
    plugin.send(response(&request, Some(Payload::new("x")))).await?;
    call.outcome(&host.has).await?.map(drop).map_err(|error| Failure::new("the call's result", error))
}
