//! The plugin's side of the protocol on one link (docs/protocol.md, section 3).

use super::{CallId, Dropped, Event, HANDSHAKE, Session, Side, display_key, display_name};
use crate::error::{CallError, Fault};
use crate::wire::{Action, CallChain, ErrorKind, Extensions, Id, Inherited, Message, Name, Payload, display_json};

/// A plugin's session with one engine over one link.
pub(crate) type PluginSession<R> = Session<PluginSide, R>;

pub(crate) struct PluginSide {
    /// Whether the engine has performed the handshake.
    loaded: bool,
    /// What this end announces.
    extensions: Extensions,
    /// Whether the engine is about to say that it sends no more requests.
    is_draining: bool,
}

#[derive(Debug)]
pub(crate) enum PluginEvent {
    /// The engine performs a handshake. Respond to each with [`PluginSession::answer_handshake`]. The first one gives the
    /// plugin its name; `echo` is the name in the request's own envelope, and `engine` that of the engine.
    Handshake { id: Option<Id>, given: Option<Name>, echo: Option<Name>, engine: Option<Name> },
    /// Run a method and respond with [`Session::respond`].
    Invoke(Invocation),
    /// The engine withdraws its request with this id.
    CancelOne { id: Id },
    /// An event arrived.
    Notify { emitter: Name, event: Name, args: Payload },
    /// Further work waits for a call of a lent plugin: the first run is the call, the others wait.
    Awaited { runs: CallChain },
    /// Somebody listens to an event of this plugin, or nobody any longer.
    Listened { event: Name, by_anybody: bool },
}

/// A request to this plugin.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) id: Option<Id>,
    pub(crate) name: Option<Name>,
    pub(crate) key: Name,
    pub(crate) from: Name,
    pub(crate) path: Name,
    pub(crate) args: Payload,
    pub(crate) inherited: Option<Box<Inherited>>,
}

impl<R> PluginSession<R> {
    /// A session for a new link, which announces these extensions. Requests the handshake immediately.
    pub(crate) fn new(extensions: Extensions) -> Self {
        let mut session = Session::of(PluginSide { loaded: false, extensions, is_draining: false });
        session.prompt(false);
        session
    }

    /// Requests the handshake.
    fn prompt(&mut self, draining: bool) {
        self.out.push_back(Message {
            id: Some((-1).into()),
            key: Some(Name::new_static(HANDSHAKE)),
            extensions: Some(self.side.extensions),
            draining,
            ..Message::new(Action::Request)
        });
    }

    /// Tells an engine that knows it that the plugin is stopping.
    pub(crate) fn drain(&mut self) {
        if self.side.loaded && self.peer.contain(Extensions::DRAINING) {
            self.side.is_draining = true;
            self.prompt(true);
        }
    }

    /// Whether the engine may still send requests, until it has said that it does not.
    pub(crate) fn awaits_last_request(&self) -> bool {
        self.side.is_draining
    }

    /// `name` is echoed.
    pub(crate) fn answer_handshake(&mut self, id: Option<Id>, name: Option<Name>, methods: Vec<String>) {
        self.send_response(Message {
            id,
            name,
            key: Some(Name::new_static(HANDSHAKE)),
            payload: Some(Payload::new(methods)),
            extensions: Some(self.side.extensions),
            ..Message::new(Action::Response)
        });
    }

    /// Calls another plugin. `id` must be unused in this session.
    pub(crate) fn call(
        &mut self,
        id: CallId,
        target: Name,
        method: Name,
        args: Payload,
        inherited: Option<Box<Inherited>>,
        reply: R,
    ) {
        let (name, key, payload) = (Some(target), Some(method), Some(args));
        self.request(id, Message { name, key, payload, ..Message::new(Action::Request) }, inherited, reply);
    }

    /// Cancels all calls of one method, or of all methods, of a plugin.
    pub(crate) fn cancel_all(&mut self, target: Name, method: Option<Name>) {
        self.out.push_back(Message { name: Some(target), key: method, ..Message::new(Action::Cancel) });
    }

    /// Begins or ends a subscription: `action` is `On`, `Once` or `Off`.
    pub(crate) fn subscribe(&mut self, action: Action, emitter: Name, event: Name) {
        self.out.push_back(Message { name: Some(emitter), key: Some(event), ..Message::new(action) });
    }

    pub(crate) fn emit(&mut self, event: Name, args: Payload) {
        self.out.push_back(Message { key: Some(event), payload: Some(args), ..Message::new(Action::Emit) });
    }
}

impl Side for PluginSide {
    type Event = PluginEvent;
    type Error = Fault;

    fn no_name() -> Option<Name> {
        None
    }

    fn own_error(fault: Fault) -> Fault {
        fault
    }

    fn error_weight(fault: &Fault) -> usize {
        fault.payload().weight()
    }

    fn error_to_wire(fault: Fault) -> (Option<ErrorKind>, Payload) {
        (Some(fault.kind()).filter(|kind| *kind != ErrorKind::Plugin), fault.payload().clone())
    }

    fn error_from_wire(kind: Option<ErrorKind>, error: Payload, _: Extensions) -> CallError {
        CallError::from_engine(kind, error)
    }

    fn handshake_part(&mut self, head: &Message) -> Option<&'static str> {
        (head.action == Action::Request && !self.loaded).then_some("the handshake")
    }

    fn receive<R>(session: &mut PluginSession<R>, message: Message) -> Result<Option<Event<R, PluginEvent>>, Dropped> {
        let Message {
            action,
            id,
            name,
            key,
            payload,
            request_info,
            inherited,
            error,
            error_kind,
            extensions,
            draining,
        } = message;
        let event = match action {
            Action::Request if key.as_deref() == Some(HANDSHAKE) => {
                session.peer = extensions.unwrap_or_default();
                let names: Vec<Payload> = payload.and_then(|names| names.read().ok()).unwrap_or_default();
                let mut names = names.into_iter().map(Payload::read_name);
                let (given, engine) = (names.next().flatten(), names.next().flatten());
                // A repeated handshake does not change the name.
                let given = match session.side.loaded {
                    true => None,
                    false => {
                        let Some(given) = given.or_else(|| name.clone()) else {
                            session.respond(id, name, key, Err(Fault::new("the handshake gives the plugin no name")));
                            return Err(Dropped::Incomplete(HANDSHAKE, "name"));
                        };
                        Some(given)
                    }
                };
                session.side.loaded = true;
                session.side.is_draining &= !draining;
                PluginEvent::Handshake { id, given, echo: name, engine }
            }
            Action::Request if !session.side.loaded => {
                session.respond(id, name, key, Err(Fault::new("Handshake before communicating")));
                return Err(Dropped::TooEarly("request"));
            }
            Action::Request => {
                let raw_path = id.as_ref().and_then(Id::raw_members).and_then(|odd| odd.path.as_deref());
                if key.is_none() || raw_path.is_some() {
                    let path = raw_path.map_or("".into(), display_json);
                    // The first part of a path is the plugin.
                    let service = path.split_once('.').map_or(&*path, |(_, service)| service);
                    let dot = if service.is_empty() { "" } else { "." };
                    let method = display_key(key.as_ref(), id.as_ref());
                    let plugin = display_name(name.as_ref(), id.as_ref());
                    let fault =
                        Fault::new(format_args!("Method {service}{dot}{method} doesn't exist on plugin {plugin}"));
                    let missing = if key.is_none() { "key" } else { "path" };
                    session.respond(id, name, key, Err(fault));
                    return Err(Dropped::Incomplete("request", missing));
                }
                let key = key.unwrap_or_default();
                let (from, path) = request_info.map_or((Name::default(), None), |info| (info.from, info.path));
                let path = path.or_else(|| name.clone()).unwrap_or_default();
                let args = payload.unwrap_or_else(Payload::no_args);
                PluginEvent::Invoke(Invocation { id, name, key, from, path, args, inherited })
            }
            Action::Response => return session.response_arrived(id, payload, error, error_kind),
            Action::Emit | Action::Notification => {
                let emitter = name.ok_or(Dropped::Incomplete("notification", "name"))?;
                let event = key.ok_or(Dropped::Incomplete("notification", "key"))?;
                let args = payload.ok_or(Dropped::EmptyEvent)?;
                match session.side.loaded {
                    true => PluginEvent::Notify { emitter, event, args },
                    false => return Err(Dropped::TooEarly("notification")),
                }
            }
            Action::Cancel => match id {
                Some(id) if id.is_given() => PluginEvent::CancelOne { id },
                _ => return Err(Dropped::Incomplete("cancel", "id")),
            },
            Action::Await if session.side.extensions.contain(Extensions::CALL_CHAIN) && session.side.loaded => {
                let runs = inherited.and_then(|inherited| inherited.chain);
                PluginEvent::Awaited { runs: runs.ok_or(Dropped::Incomplete(action.as_str(), "callChain"))? }
            }
            Action::On | Action::Off
                if session.side.extensions.contain(Extensions::LISTENERS) && session.side.loaded =>
            {
                let event = key.ok_or(Dropped::Incomplete(action.as_str(), "key"))?;
                PluginEvent::Listened { event, by_anybody: action == Action::On }
            }
            Action::On | Action::Once | Action::Off | Action::Await => return Err(Dropped::WrongWay(action.as_str())),
        };
        Ok(Some(Event::Peer(event)))
    }
}

#[cfg(test)]
mod tests;
