//! A recording as a plugin for tests.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use connector_core::{Action, Context, Fault, Id, Message, Name, Payload, Plugin, Rest, Service};

use super::ReplayError;
use super::compare::is_same_payload;
use super::session::{End, Session, is_handshake, sessions};
use crate::recording::Recording;

/// A plugin that answers calls as a recorded one did: a mock for tests.
///
/// A call is answered with the recorded result or error of the call with the same arguments. If there were several, they are
/// used in the recorded sequence, and then the last one again. Before the answer it emits the events that the recorded plugin
/// emitted during that call. A call with other arguments is an error that names the recorded ones. Calls and subscriptions
/// that the recorded plugin made are not repeated; a [`Replay`](super::Replay) does that.
///
/// # Errors
/// The recording cannot be read, or has no session of this plugin from its handshake on.
pub fn as_plugin(path: impl AsRef<Path>, name: &str) -> Result<Plugin, ReplayError> {
    let mut recording = Recording::open(path)?;
    let sessions = sessions(&mut recording, name, End::Plugin)?.complete;
    let has_secrets = !recording.header().redacted.is_empty();
    let (mut listed, mut methods) = (Vec::new(), BTreeMap::<Address, Vec<Exchange>>::new());
    for session in sessions {
        listed.extend(session.iter().filter_map(|step| listed_methods(&step.message)).flatten());
        for (address, exchange) in exchanges(session) {
            methods.entry(address).or_default().push(exchange);
        }
    }
    // Methods that are listed and were not called say so.
    for key in listed {
        if !methods.keys().any(|address| address.key == key) {
            methods.entry(Address { service: None, key: key.into() }).or_default();
        }
    }
    let (mut plugin, mut services) = (Plugin::new(name), BTreeMap::<String, Service>::new());
    for (Address { service, key }, exchanges) in methods {
        let recorded = Recorded::new(key.clone(), exchanges, has_secrets);
        let method = move |ctx: Context, args: Rest| {
            let recorded = recorded.clone();
            async move { recorded.answer(ctx, args).await }
        };
        match service {
            None => plugin = plugin.method(&key, method),
            Some(path) => {
                let service = services.remove(&path).unwrap_or_default();
                services.insert(path, service.method(&key, method));
            }
        }
    }
    Ok(services.into_iter().fold(plugin, |plugin, (path, service)| plugin.service(&path, service)))
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    /// The path of the service in the plugin.
    service: Option<String>,
    key: Name,
}

/// A recorded call.
#[derive(Debug)]
struct Exchange {
    args: Payload,
    answer: Answer,
}

#[derive(Debug, Clone)]
struct Answer {
    outcome: Result<Payload, Payload>,
    /// Emitted before.
    events: Vec<Event>,
}

type Event = (Name, Payload);

/// A recorded call that has not been answered yet.
struct Running {
    id: Id,
    address: Address,
    args: Payload,
    events: Vec<Event>,
}

fn listed_methods(message: &Message) -> Option<Vec<String>> {
    let answers = message.action == Action::Response && is_handshake(message);
    message.payload.clone().filter(|_| answers)?.read().ok()
}

/// The calls that were answered, with the events emitted between a request and its answer.
fn exchanges(session: Session) -> Vec<(Address, Exchange)> {
    let mut running: Vec<Running> = Vec::new();
    let mut exchanges = Vec::new();
    for step in session {
        let is_handshake = is_handshake(&step.message);
        let Message { action, id, key, payload, request_info, error, .. } = step.message;
        match (action, id, key, step.sends) {
            (Action::Request, Some(id), Some(key), false) if !is_handshake => {
                let path = request_info.and_then(|info| info.path);
                let service = path.as_deref().and_then(|path| path.split_once('.')).map(|(_, path)| path.to_owned());
                let args = payload.unwrap_or_else(Payload::no_args);
                running.push(Running { id, address: Address { service, key }, args, events: Vec::new() });
            }
            (Action::Response, Some(id), _, true) => {
                let Some(index) = running.iter().position(|running| running.id == id) else { continue };
                let Running { address, args, events, .. } = running.remove(index);
                let outcome = match error {
                    Some(error) => Err(*error),
                    None => Ok(payload.unwrap_or_else(Payload::null)),
                };
                exchanges.push((address, Exchange { args, answer: Answer { outcome, events } }));
            }
            (Action::Emit, _, Some(key), true) => {
                if let Some(call) = running.last_mut() {
                    call.events.push((key, payload.unwrap_or_else(Payload::no_args)));
                }
            }
            _ => {}
        }
    }
    exchanges
}

/// The recorded calls of one method.
#[derive(Debug, Clone)]
struct Recorded {
    method: Name,
    /// Those with the same arguments, in the recorded sequence.
    calls: Arc<Mutex<Vec<VecDeque<Exchange>>>>,
    has_secrets: bool,
}

impl Recorded {
    fn new(method: Name, exchanges: Vec<Exchange>, has_secrets: bool) -> Recorded {
        let mut calls = Vec::<VecDeque<Exchange>>::new();
        for exchange in exchanges {
            match calls.iter_mut().find(|same| is_same_payload(&same[0].args, &exchange.args, false)) {
                Some(same) => same.push_back(exchange),
                None => calls.push([exchange].into()),
            }
        }
        Recorded { method, calls: Arc::new(Mutex::new(calls)), has_secrets }
    }

    async fn answer(&self, ctx: Context, args: Rest) -> Result<Payload, Fault> {
        let Answer { outcome, events } = self.next(&Payload::new(args))?;
        for (event, args) in events {
            let args: Vec<Payload> = args.read().map_err(Fault::new)?;
            ctx.client().emit(&event, Rest(args)).await.map_err(Fault::new)?;
        }
        outcome.map_err(Fault::from_payload)
    }

    fn next(&self, args: &Payload) -> Result<Answer, Fault> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        let found = calls.iter_mut().find(|same| is_same_payload(&same[0].args, args, self.has_secrets));
        let Some(same) = found else {
            let recorded: Vec<String> = calls.iter().take(10).map(|same| format!("{:?}", same[0].args)).collect();
            let recorded = if recorded.is_empty() { "none".to_owned() } else { recorded.join(", ") };
            let method = &self.method;
            return Err(Fault::new(format_args!(
                "the recording has no call of {method} with the arguments {args:?}; it has: {recorded}"
            )));
        };
        // The last one is used again.
        match same.len() {
            1 => Ok(same[0].answer.clone()),
            _ => same.pop_front().map(|call| call.answer).ok_or_else(|| Fault::new("no call is recorded")),
        }
    }
}
