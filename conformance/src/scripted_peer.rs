//! Scripted peers: plugins and engines whose frames a case writes itself, at the other end of a real engine or plugin.

use super::capabilities::Capabilities;
use super::failure::{Failure, shown};
use super::fixture::{Boxed, Control, MakeConnector};
use super::harness::{CheckedLink, Harness, IDS, both, establish};
use super::host::{PendingCall, activate, options};
use super::probe::local;
use crate::runtime::{self, Task};
use connector_core::{
    Action, ClientConfig, ClientConnector, Engine, Extensions, ExternalProfile, IntoArgs, Message, Name, Observing,
    Payload, Plugin, PluginClient, Registration, connect,
};

/// An engine whose plugin is a scripted peer.
pub(super) struct ScriptedPluginHost {
    pub(super) has: Capabilities,
    pub(super) engine: Engine,
    pub(super) local: PluginClient,
    pub(super) control: Box<dyn Control>,
    pub(super) client: Box<dyn ClientConnector>,
    _another: MakeConnector,
    _observing: Option<Observing>,
}

impl ScriptedPluginHost {
    /// The engine, and the plugin's end of its first link, after the handshake.
    pub(super) async fn new(harness: Harness, native: bool) -> Result<(ScriptedPluginHost, CheckedLink), Failure> {
        let Harness { has, url, mut client, connector, control, another, engine, observing } = harness;
        let failed = |error| Failure::new("a plugin to be registered", error);
        let local = engine.register(local()).map_err(failed)?;
        let profile = ExternalProfile::new("probe", url.as_str());
        engine.register(Registration::behind(profile, Boxed(connector)).options(options())).map_err(failed)?;
        activate(&has, &engine, "local").await?;
        let ((), end) = both(activate(&has, &engine, "probe"), async {
            let mut end = establish("the plugin's", has.timeout, client.accept()).await?;
            answer_handshake(&mut end, native).await?;
            Ok(end)
        })
        .await?;
        Ok((ScriptedPluginHost { has, engine, local, control, client, _another: another, _observing: observing }, end))
    }

    /// The plugin's end of the next link, after the handshake. Links that end before it are skipped.
    pub(super) async fn next_link(&mut self) -> Result<CheckedLink, Failure> {
        for _ in 0..16 {
            let mut end = establish("the plugin's", self.has.timeout, self.client.accept()).await?;
            if answer_handshake(&mut end, true).await.is_ok() {
                return Ok(end);
            }
        }
        Err(Failure::new("a link that performs the handshake", "16 that did not"))
    }

    pub(super) fn start(&self, method: &'static str, args: impl IntoArgs + 'static) -> PendingCall {
        PendingCall::new(&self.local, method, args)
    }
}

/// Answers an engine's handshake with the methods `echo` and `hang`.
pub(super) async fn answer_handshake(end: &mut CheckedLink, native: bool) -> Result<(), Failure> {
    let request = end.next().await?;
    if request.action != Action::Request || request.key.as_deref() != Some("handshake") {
        return Err(Failure::new("the engine's handshake", shown(&request)));
    }
    let methods = Payload::new(vec!["echo", "hang"]);
    let extensions = native.then_some(Extensions::NATIVE);
    end.send(Message { extensions, ..response(&request, Some(methods)) }).await
}

/// Subscribes to `local`'s event `tick`, and waits until the engine has recorded the subscription.
pub(super) async fn subscribe(plugin: &mut CheckedLink) -> Result<(), Failure> {
    let (name, tick) = (Some(Name::new_static("local")), Some(Name::new_static("tick")));
    plugin.queue(Message { name: name.clone(), key: tick, ..Message::new(Action::On) }).await?;
    // The engine handles messages in order, so its response confirms the subscription.
    plugin.send(Message { name, ..request(4242, "echo", Payload::new((1,))) }).await?;
    let received = plugin.next().await?;
    match (received.action, &received.id) {
        (Action::Response, Some(id)) if *id == 4242.into() => Ok(()),
        _ => Err(Failure::new("the response to request 4242", shown(&received)).hint(IDS)),
    }
}

/// The response to a request.
pub(super) fn response(request: &Message, payload: Option<Payload>) -> Message {
    let Message { id, name, key, .. } = request.clone();
    Message { id, name, key, payload, ..Message::new(Action::Response) }
}

/// Runs a plugin at the other end of a scripted engine, and performs the handshake.
pub(super) async fn start_plugin(
    mut engine: CheckedLink,
    plugin: CheckedLink,
    made: Plugin,
) -> Result<(CheckedLink, PluginClient, Task), Failure> {
    let (client, session) = connect(plugin.into_link(), made, ClientConfig::default());
    let task = runtime::spawn(async { drop(session.await) });
    let first = engine.next().await?;
    if first.id != Some((-1).into()) || first.key.as_deref() != Some("handshake") {
        return Err(Failure::new("the plugin's request for a handshake, with the id -1", shown(&first)));
    }
    handshake(&mut engine, 0).await?;
    Ok((engine, client, task))
}

/// Performs the engine's side of the handshake and returns the plugin's response.
pub(super) async fn handshake(engine: &mut CheckedLink, id: i64) -> Result<Message, Failure> {
    let request =
        Message { extensions: Some(Extensions::NATIVE), ..request(id, "handshake", Payload::new(("probe",))) };
    engine.send(request).await?;
    let response = engine.next().await?;
    match (response.action, &response.id) {
        (Action::Response, Some(same)) if *same == id.into() => Ok(response),
        _ => Err(Failure::new(format_args!("the response to handshake {id}"), shown(&response)).hint(IDS)),
    }
}

/// A request to the plugin.
pub(super) fn request(id: i64, method: &'static str, args: Payload) -> Message {
    Message {
        id: Some(id.into()),
        name: Some(Name::new_static("probe")),
        key: Some(Name::new_static(method)),
        payload: Some(args),
        ..Message::new(Action::Request)
    }
}
