//! The engine's side of the protocol on one link.

use super::{CallId, Dropped, Event, HANDSHAKE, Session, Side, display_key, display_name};
use crate::error::{CallError, Fault, Refusal};
use crate::excerpt::cut;
use crate::wire::{
    Action, CallChain, ErrorKind, Extensions, Id, Inherited, Message, Name, Payload, RequestInfo,
    is_falsy_in_javascript,
};

/// The engine's session with one plugin over one link.
pub(crate) type EngineSession<R> = Session<EngineSide, R>;

pub(crate) struct EngineSide {
    /// The plugin's name.
    name: Name,
    engine: Option<String>,
    next_handshake: i64,
    /// The handshakes without an answer.
    handshakes: Vec<i64>,
    /// The plugin is stopping: see [`EngineEvent::Draining`].
    draining: bool,
}

impl EngineSide {
    /// What the engine makes use of. Only one that names itself borrows plugins: any other plugin that said that it is lent
    /// would learn of other engines' work.
    fn usable(&self, announced: Extensions) -> Extensions {
        match self.engine {
            Some(_) => announced,
            None => announced.without(Extensions::CALL_CHAIN | Extensions::LISTENERS),
        }
    }
}

#[derive(Debug)]
pub(crate) enum EngineEvent {
    /// The plugin answered a handshake, with its methods if it lists them.
    Loaded { methods: Option<Vec<String>> },
    /// The plugin answered a handshake with an error or with something other than a list of methods.
    HandshakeFailed(String),
    /// The plugin is stopping: do not call it any more. The handshake that follows tells it that nothing else will.
    Draining,
    /// The plugin calls another plugin; respond with [`Session::respond`].
    Call { id: Option<Id>, target: Name, method: Name, args: Payload, inherited: Option<Box<Inherited>> },
    /// The plugin cancels all its calls to a plugin, or those of one method.
    CancelAll { target: Name, method: Option<Name> },
    /// The plugin withdraws its request with this id.
    CancelOne { id: Id },
    /// The plugin subscribes to an event, possibly for one occurrence.
    Listen { emitter: Name, event: Name, once: bool },
    /// The plugin unsubscribes from an event.
    Unlisten { emitter: Name, event: Name },
    /// The plugin emits an event.
    Emit { event: Name, args: Payload },
}

/// Limit for a plugin that requests handshakes without answering them.
const MAX_HANDSHAKES: usize = 16;
/// Limit for liveness probes: one lost probe must not prevent the next.
const MAX_PROBES: usize = 4;

impl<R> EngineSession<R> {
    /// A session for a new link. Performs the handshake on its own. Handshakes are numbered downwards from -2, separate
    /// from call ids.
    pub(crate) fn new(name: Name, engine: Option<String>) -> Self {
        let mut session =
            Session::of(EngineSide { name, engine, next_handshake: -2, handshakes: Vec::new(), draining: false });
        session.handshake();
        session
    }

    /// Performs another handshake, as a liveness probe.
    pub(crate) fn handshake(&mut self) {
        let EngineSide { name, engine, next_handshake, handshakes, draining } = &mut self.side;
        let id = *next_handshake;
        *next_handshake -= 1;
        handshakes.push(id);
        self.out.push_back(Message {
            id: Some(id.into()),
            name: Some(name.clone()),
            key: Some(Name::new_static(HANDSHAKE)),
            payload: Some(Payload::new((name.to_string(), engine.clone()))),
            extensions: Some(Extensions::NATIVE),
            draining: *draining,
            ..Message::new(Action::Request)
        });
    }

    /// Whether too many handshakes are unanswered.
    pub(crate) fn has_unanswered_probes(&self) -> bool {
        self.side.handshakes.len() >= MAX_PROBES
    }

    /// Calls the plugin. `id` must be unused in this session.
    pub(crate) fn call(
        &mut self,
        id: CallId,
        method: Name,
        args: Payload,
        info: Box<RequestInfo>,
        inherited: Option<Box<Inherited>>,
        reply: R,
    ) {
        let (name, key, payload) = (Some(self.side.name.clone()), Some(method), Some(args));
        let request = Message { name, key, payload, request_info: Some(info), ..Message::new(Action::Request) };
        self.request(id, request, inherited, reply);
    }

    /// Forwards an event that the plugin listens to.
    pub(crate) fn notify(&mut self, emitter: Name, event: Name, args: Payload) {
        let (name, key, payload) = (Some(emitter), Some(event), Some(args));
        self.out.push_back(Message { name, key, payload, ..Message::new(Action::Notification) });
    }

    /// Tells a plugin that another engine lends whether anybody listens to one of its events.
    pub(crate) fn listened(&mut self, event: Name, by_anybody: bool) {
        let action = if by_anybody { Action::On } else { Action::Off };
        let (name, key) = (Some(self.side.name.clone()), Some(event));
        self.out.push_back(Message { name, key, ..Message::new(action) });
    }

    /// Tells the lender of a plugin that further work waits for a call: the first run is the call, the others wait.
    pub(crate) fn awaited(&mut self, runs: CallChain) {
        let inherited = Some(Box::new(Inherited { chain: Some(runs), ..Inherited::default() }));
        self.out.push_back(Message { inherited, ..Message::new(Action::Await) });
    }

    /// Responds to a request that names no possible plugin or method.
    fn refuse(&mut self, id: Option<Id>, name: Option<Name>, key: Option<Name>) {
        let (target, method) = (display_name(name.as_ref(), id.as_ref()), display_key(key.as_ref(), id.as_ref()));
        let caller = self.side.name.to_string();
        let refusal = match name {
            None => Refusal::NotRegistered { target: target.into_owned(), caller },
            Some(_) => Refusal::not_exposed_unlisted(&target, &caller, &method),
        };
        self.respond(id, name, key, Err(refusal.into()));
    }
}

impl EngineSide {
    /// Whether the id belongs to an unanswered handshake, which is then removed.
    fn take_handshake(&mut self, id: Option<&Id>) -> bool {
        let number = id.and_then(Id::number);
        let position = number.and_then(|id| self.handshakes.iter().position(|handshake| *handshake == id));
        position.map(|position| self.handshakes.swap_remove(position)).is_some()
    }
}

impl Side for EngineSide {
    type Event = EngineEvent;
    type Error = CallError;

    fn no_name() -> Option<Name> {
        Some(Name::default())
    }

    fn own_error(fault: Fault) -> CallError {
        CallError::Plugin(fault)
    }

    fn error_weight(error: &CallError) -> usize {
        match error {
            CallError::Plugin(fault) => fault.payload().weight(),
            // The engine's own texts have bounds.
            _ => 0,
        }
    }

    fn error_to_wire(error: CallError) -> (Option<ErrorKind>, Payload) {
        (Some(error.kind()), error.to_payload())
    }

    fn error_from_wire(kind: Option<ErrorKind>, error: Payload, peer: Extensions) -> CallError {
        CallError::from_plugin(kind, error, peer.is_lent())
    }

    fn handshake_part(&mut self, head: &Message) -> Option<&'static str> {
        let answers = head.action == Action::Response && self.take_handshake(head.id.as_ref());
        answers.then_some("the answer to the handshake")
    }

    fn receive<R>(session: &mut EngineSession<R>, message: Message) -> Result<Option<Event<R, EngineEvent>>, Dropped> {
        let Message { action, id, name, key, payload, inherited, error, error_kind, extensions, draining, .. } =
            message;
        let event = match action {
            Action::Request if key.as_deref() == Some(HANDSHAKE) => {
                if session.side.handshakes.len() >= MAX_HANDSHAKES {
                    return Err(Dropped::HandshakeFlood);
                }
                session.peer = extensions.map_or(session.peer, |announced| session.side.usable(announced));
                session.side.draining |= draining;
                session.handshake();
                return Ok(draining.then_some(Event::Peer(EngineEvent::Draining)));
            }
            Action::Response if session.side.take_handshake(id.as_ref()) => {
                session.peer = session.side.usable(extensions.unwrap_or_default());
                return Ok(Some(handshake_answer(key.as_deref(), payload, error)));
            }
            Action::Response => return session.response_arrived(id, payload, error, error_kind),
            Action::Request => match (name, key) {
                (Some(target), Some(method)) => {
                    let args = payload.unwrap_or_else(Payload::no_args);
                    EngineEvent::Call { id, target, method, args, inherited }
                }
                (name, key) => {
                    let missing = if name.is_none() { "name" } else { "key" };
                    session.refuse(id, name, key);
                    return Err(Dropped::Incomplete("request", missing));
                }
            },
            Action::On | Action::Once => {
                let emitter = name.ok_or(Dropped::Incomplete(action.as_str(), "name"))?;
                let event = key.ok_or(Dropped::Incomplete(action.as_str(), "key"))?;
                EngineEvent::Listen { emitter, event, once: action == Action::Once }
            }
            Action::Off => {
                let emitter = name.ok_or(Dropped::Incomplete("off", "name"))?;
                let event = key.ok_or(Dropped::Incomplete("off", "key"))?;
                EngineEvent::Unlisten { emitter, event }
            }
            Action::Emit | Action::Notification => {
                let event = key.ok_or(Dropped::Incomplete("emit", "key"))?;
                let args = payload.filter(|args| !args.is_null()).ok_or(Dropped::EmptyEvent)?;
                match args.may_be_array() {
                    true => EngineEvent::Emit { event, args },
                    false => return Err(Dropped::NoArray),
                }
            }
            Action::Await => return Err(Dropped::WrongWay(action.as_str())),
            Action::Cancel => {
                let raw_key = id.as_ref().and_then(Id::raw_members).and_then(|odd| odd.key.as_deref());
                let unreadable = raw_key.is_some_and(|key| !is_falsy_in_javascript(key));
                match (id, name) {
                    // A missing key means all calls to a plugin; an unreadable key must not.
                    (_, Some(_)) if unreadable => return Err(Dropped::Incomplete("cancel", "key")),
                    // The published engine ignores the id.
                    (id, Some(target)) if id.is_none() || !session.peer.contain(Extensions::CANCEL_BY_ID) => {
                        let method = key.filter(|key| !key.is_empty());
                        EngineEvent::CancelAll { target, method }
                    }
                    (Some(id), _) if id.is_given() => EngineEvent::CancelOne { id },
                    _ => return Err(Dropped::Incomplete("cancel", "name")),
                }
            }
        };
        Ok(Some(Event::Peer(event)))
    }
}

fn handshake_answer<R>(
    key: Option<&str>,
    payload: Option<Payload>,
    error: Option<Box<Payload>>,
) -> Event<R, EngineEvent> {
    if let Some(error) = error {
        let error = Fault::from_payload(*error);
        return match key {
            None | Some(HANDSHAKE) => Event::Peer(EngineEvent::HandshakeFailed(cut(error.to_string()).into_owned())),
            // The key is an echo: the handshake did not arrive as it was sent.
            Some(key) => {
                let (key, error) = (cut(key), cut(error.to_string()));
                let key = key.escape_debug();
                Event::HandshakeUnreadable(format!("the handshake was answered as a call of \"{key}\": {error}"))
            }
        };
    }
    match payload.filter(|methods| !methods.is_false()).map(Payload::read_names) {
        None => Event::Peer(EngineEvent::Loaded { methods: None }),
        Some(Ok(methods)) => Event::Peer(EngineEvent::Loaded { methods: Some(methods) }),
        Some(Err(error)) => {
            Event::Peer(EngineEvent::HandshakeFailed(format!("its response is not a list of methods: {error}")))
        }
    }
}

#[cfg(test)]
mod tests;
