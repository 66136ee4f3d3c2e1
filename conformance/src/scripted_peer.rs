//! Plugins and engines that are played by hand, at the end of a link whose other end is a real one.

use super::failure::{Failure, shown};
use super::fixture::{Boxed, Capabilities, Control, MakeConnector};
use super::harness::{End, Lab, both, linked};
use super::host::{Started, activate, options};
use super::probe::local;
use crate::runtime::{self, Task};
use connector_core::{
    Action, ClientConfig, ClientConnector, Engine, Extensions, ExternalProfile, IntoArgs, Message, Name, Payload,
    Plugin, PluginClient, Registration, connect,
};

/// An engine whose plugin at the other end is played by hand.
pub(super) struct HandHost {
    pub(super) has: Capabilities,
    pub(super) engine: Engine,
    pub(super) local: PluginClient,
    pub(super) control: Box<dyn Control>,
    pub(super) client: Box<dyn ClientConnector>,
    _another: MakeConnector,
}

impl HandHost {
    /// The engine, and the plugin's end of its first link, which has shaken hands.
    pub(super) async fn new(lab: Lab, native: bool) -> Result<(HandHost, End), Failure> {
        let Lab { has, url, mut client, connector, control, another } = lab;
        let engine = Engine::new();
        let wrong = |error| Failure::new("a plugin to be registered", error);
        let local = engine.register(local()).map_err(wrong)?;
        let profile = ExternalProfile::new("probe", url.as_str());
        engine.register(Registration::behind(profile, Boxed(connector)).options(options())).map_err(wrong)?;
        activate(&has, &engine, "local").await?;
        let ((), end) = both(activate(&has, &engine, "probe"), async {
            let mut end = linked("the plugin's", has.patience, client.accept()).await?;
            answer_handshake(&mut end, native).await?;
            Ok(end)
        })
        .await?;
        Ok((HandHost { has, engine, local, control, client, _another: another }, end))
    }

    /// The plugin's end of the next link, which has shaken hands. What does not last long enough is passed over.
    pub(super) async fn next_link(&mut self) -> Result<End, Failure> {
        for _ in 0..16 {
            let mut end = linked("the plugin's", self.has.patience, self.client.accept()).await?;
            if answer_handshake(&mut end, true).await.is_ok() {
                return Ok(end);
            }
        }
        Err(Failure::new("a link that shakes hands", "16 that do not"))
    }

    pub(super) fn start(&self, method: &'static str, args: impl IntoArgs + 'static) -> Started {
        Started::new(&self.local, method, args)
    }
}

/// Answers an engine's handshake with the methods `echo` and `hang`.
pub(super) async fn answer_handshake(end: &mut End, native: bool) -> Result<(), Failure> {
    let ask = end.next().await?;
    if ask.action != Action::Request || ask.key.as_deref() != Some("handshake") {
        return Err(Failure::new("the engine's handshake", shown(&ask)));
    }
    let methods = Payload::new(vec!["echo", "hang"]);
    let extensions = native.then_some(Extensions::NATIVE);
    end.send(Message { extensions, ..answer(&ask, Some(methods)) }).await
}

/// Listens to `local`'s event `tick`, and waits until the engine has taken note of it.
pub(super) async fn listen(plugin: &mut End) -> Result<(), Failure> {
    let (name, tick) = (Some(Name::new_static("local")), Some(Name::new_static("tick")));
    plugin.put(Message { name: name.clone(), key: tick, ..Message::new(Action::On) }).await?;
    // What was sent before a request is seen to before it.
    plugin.send(Message { name, ..request(4242, "echo", Payload::new((1,))) }).await?;
    let came = plugin.next().await?;
    match (came.action, &came.id) {
        (Action::Response, Some(id)) if *id == 4242.into() => Ok(()),
        _ => Err(Failure::new("the answer to request 4242", shown(&came))),
    }
}

/// The answer to a request.
pub(super) fn answer(request: &Message, payload: Option<Payload>) -> Message {
    let Message { id, name, key, .. } = request.clone();
    Message { id, name, key, payload, ..Message::new(Action::Response) }
}

/// A plugin's side that runs at the end of a link whose engine is played by hand and has shaken hands.
pub(super) async fn welcomed(mut engine: End, plugin: End, made: Plugin) -> Result<(End, PluginClient, Task), Failure> {
    let (client, session) = connect(plugin.into_link(), made, ClientConfig::default());
    let task = runtime::spawn(async { drop(session.await) });
    let hello = engine.next().await?;
    if hello.id != Some((-1).into()) || hello.key.as_deref() != Some("handshake") {
        return Err(Failure::new("the plugin's wish for a handshake, with the id -1", shown(&hello)));
    }
    handshake(&mut engine, 0).await?;
    Ok((engine, client, task))
}

/// Shakes hands as an engine does; gives the answer.
pub(super) async fn handshake(engine: &mut End, id: i64) -> Result<Message, Failure> {
    let ask = Message { extensions: Some(Extensions::NATIVE), ..request(id, "handshake", Payload::new(("probe",))) };
    engine.send(ask).await?;
    let answer = engine.next().await?;
    match (answer.action, &answer.id) {
        (Action::Response, Some(same)) if *same == id.into() => Ok(answer),
        _ => Err(Failure::new(format_args!("the answer to handshake {id}"), shown(&answer))),
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
