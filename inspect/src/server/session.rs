//! A viewer's requests.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use connector_core::{Event, Payload, Rest};
use futures_util::future::{AbortHandle, Abortable, BoxFuture};
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::outbox::Full;
use super::requests::{Outcome, Request, null};
use super::viewer::{Feed, Viewer};
use super::{Server, details};
use crate::record::Record;
use crate::text::micros;

/// A viewer that sends nothing for so long, pongs included, is gone.
const SILENCE: Duration = Duration::from_secs(60);
/// A viewer's calls and other changes in progress, and its subscriptions.
const MAX_TASKS: usize = 64;
/// Events that wait to be read from a subscription.
const EVENTS: usize = 64;
/// Bytes of an event's arguments that are passed on.
const MAX_ARGS: usize = 16 << 10;
/// Records in a response.
const MAX_HISTORY: usize = 1000;
/// The bytes of records in one response to `history`: several such responses may wait for a viewer.
const MAX_HISTORY_BYTES: usize = 1 << 20;
const HISTORY: usize = 100;

/// Serves requests until the viewer leaves.
pub(super) async fn run(
    mut requests: impl Stream<Item = Result<Message, Error>> + Unpin,
    server: &Arc<Server>,
    viewer: &Arc<Viewer>,
) -> &'static str {
    let mut session =
        Session { server, viewer, tasks: FuturesUnordered::new(), calls: HashMap::new(), listens: HashMap::new() };
    loop {
        tokio::select! {
            message = tokio::time::timeout(SILENCE, requests.next()) => match message {
                Err(_) => return "it is silent",
                Ok(None | Some(Err(_) | Ok(Message::Close(_)))) => return "it has left",
                Ok(Some(Ok(Message::Text(text)))) => {
                    if session.request(&text).is_err() {
                        return "it does not read the results of its requests";
                    }
                }
                Ok(Some(Ok(_))) => {}
            },
            Some(ended) = session.tasks.next() => match ended {
                Ok(End::Call(id)) => drop(session.calls.remove(&id)),
                Ok(End::Listen(id)) => drop(session.listens.remove(&id)),
                Err(Full) => return "it does not read the results of its requests",
            },
        }
    }
}

/// What has ended. An id is the JSON text of what the viewer chose.
enum End {
    Call(String),
    Listen(String),
}

struct Session<'a> {
    server: &'a Arc<Server>,
    viewer: &'a Arc<Viewer>,
    tasks: FuturesUnordered<BoxFuture<'static, Result<End, Full>>>,
    calls: HashMap<String, AbortHandle>,
    listens: HashMap<String, AbortHandle>,
}

impl Session<'_> {
    fn request(&mut self, text: &str) -> Result<(), Full> {
        let request: Request = match serde_json::from_str(text) {
            Ok(request) => request,
            Err(error) => {
                let id = serde_json::from_str(text)
                    .ok()
                    .and_then(|mut request: Value| request.get_mut("id").map(Value::take).filter(is_id));
                return self.respond(&id.unwrap_or_default(), wrong(&format!("not a request: {error}")));
            }
        };
        let id = match &request.id {
            Some(id) if is_id(id) => id.clone(),
            _ => return self.respond(&Value::Null, wrong("a request needs an `id`: a number or a short string")),
        };
        match self.start(request, &id) {
            Some(outcome) => self.respond(&id, outcome),
            None => Ok(()),
        }
    }

    fn respond(&self, id: &Value, outcome: Outcome) -> Result<(), Full> {
        self.viewer.outbox.push(outcome.response(id, None))
    }

    /// Returns the outcome, unless it follows later.
    fn start(&mut self, request: Request, id: &Value) -> Option<Outcome> {
        let is_change = matches!(&*request.r#type, "call" | "emit" | "activate" | "deactivate");
        if is_change && !self.server.allow_calls {
            let text = "the inspector is read-only: the host program can allow calls with ServeOptions::allow_calls";
            return Some(Outcome::failed("readOnly", text));
        }
        let started = match &*request.r#type {
            "call" => self.call(request, id),
            "emit" => self.emit(request, id),
            "activate" | "deactivate" => self.change(request, id),
            "cancel" => end(&mut self.calls, request.call.as_ref(), "call"),
            "listen" => self.listen(request, id),
            "unlisten" => end(&mut self.listens, request.listen.as_ref(), "listen"),
            "plugin" => required(request.plugin, "plugin").map(|plugin| Some(self.details(&plugin))),
            "feed" => Ok(Some(self.feed(request))),
            "history" => Ok(Some(self.history(request))),
            other => Err(format!("{:?} is not a request of this version", connector_core::Excerpt::up_to(40, other))),
        };
        started.unwrap_or_else(|why| Some(wrong(&why)))
    }

    /// Runs a request that takes time, and responds when it has ended.
    fn spawn(
        &mut self,
        id: &Value,
        running: impl Future<Output = Outcome> + Send + 'static,
    ) -> Result<Option<Outcome>, String> {
        let key = id.to_string();
        check_capacity(&self.calls, &key)?;
        let (handle, registration) = AbortHandle::new_pair();
        self.calls.insert(key.clone(), handle);
        let (viewer, id, began) = (Arc::clone(self.viewer), id.clone(), Instant::now());
        self.tasks.push(Box::pin(async move {
            let outcome = match Abortable::new(running, registration).await {
                Ok(outcome) => outcome,
                Err(_) => Outcome::failed("cancelled", "the viewer cancelled it"),
            };
            viewer.outbox.push(outcome.response(&id, Some(micros(began.elapsed()))))?;
            Ok(End::Call(key))
        }));
        Ok(None)
    }

    fn call(&mut self, request: Request, id: &Value) -> Result<Option<Outcome>, String> {
        let (plugin, method) = (required(request.plugin, "plugin")?, required(request.method, "method")?);
        let (args, timeout) = (arguments(request.args)?, request.timeout.map(Duration::from_millis));
        let server = Arc::clone(self.server);
        self.spawn(id, async move {
            let called = match timeout {
                Some(limit) => server.client.call_within::<Payload>(limit, &plugin, &method, args).await,
                None => server.client.call::<Payload>(&plugin, &method, args).await,
            };
            Outcome::of_call(called, server.recent.capture())
        })
    }

    fn emit(&mut self, request: Request, id: &Value) -> Result<Option<Outcome>, String> {
        let (event, args) = (required(request.event, "event")?, arguments(request.args)?);
        let server = Arc::clone(self.server);
        self.spawn(id, async move {
            match server.client.emit(&event, args).await {
                Ok(()) => Outcome::ok(&true),
                Err(error) => Outcome::of_call(Err(error), server.recent.capture()),
            }
        })
    }

    fn change(&mut self, request: Request, id: &Value) -> Result<Option<Outcome>, String> {
        let plugin = required(request.plugin, "plugin")?;
        let (server, activates) = (Arc::clone(self.server), request.r#type == "activate");
        self.spawn(id, async move {
            let changed = match activates {
                true => server.activate(&plugin).await,
                false => server.engine.manager().deactivate(&plugin).await,
            };
            server.table.refresh.notify_one();
            Outcome::of_change(changed)
        })
    }

    fn listen(&mut self, request: Request, id: &Value) -> Result<Option<Outcome>, String> {
        let (plugin, event) = (required(request.plugin, "plugin")?, required(request.event, "event")?);
        let key = id.to_string();
        check_capacity(&self.listens, &key)?;
        let mut events = match self.server.client.events::<Rest>(&plugin, &event, EVENTS) {
            Ok(events) => events,
            Err(error) => return Ok(Some(Outcome::of_call(Err(error), self.server.recent.capture()))),
        };
        let (handle, registration) = AbortHandle::new_pair();
        self.listens.insert(key.clone(), handle);
        let (server, viewer, id) = (Arc::clone(self.server), Arc::clone(self.viewer), id.clone());
        let passed_on = async move {
            let mut missed = 0;
            while let Some(event) = events.recv().await {
                match event {
                    Event::Args(args) => {
                        if missed > 0 && viewer.outbox.push(message("missed", &id, "count", missed)).is_ok() {
                            missed = 0;
                        }
                        if missed > 0 || viewer.outbox.push(occurrence(&server, &id, args)).is_err() {
                            missed += 1;
                        }
                    }
                    Event::Missed(events) => missed += events,
                    Event::Unreadable(_) => missed += 1,
                }
            }
            viewer.outbox.push(json!({ "type": "ended", "listen": id }).to_string())
        };
        self.tasks.push(Box::pin(async move {
            match Abortable::new(passed_on, registration).await {
                Ok(Err(full)) => Err(full),
                Ok(Ok(())) | Err(_) => Ok(End::Listen(key)),
            }
        }));
        Ok(Some(Outcome::ok(&true)))
    }

    fn details(&self, plugin: &str) -> Outcome {
        match details::of(self.server, plugin) {
            Some(details) => Outcome::ok(&details),
            None => Outcome::failed("refused", "no plugin of that name is registered"),
        }
    }

    fn feed(&self, request: Request) -> Outcome {
        let mut feed = self.viewer.feed.lock().unwrap_or_else(PoisonError::into_inner);
        *feed = match request.filter {
            Some(None) => None,
            filter => {
                let seen = feed.take().map_or_else(|| self.server.recent.newest(), |feed| feed.seen);
                Some(Feed { filter: filter.flatten().unwrap_or_default(), seen })
            }
        };
        Outcome::ok(&true)
    }

    fn history(&self, request: Request) -> Outcome {
        #[derive(Serialize)]
        struct History<'a> {
            records: Vec<&'a Record>,
            first: u64,
            more: bool,
        }
        let filter = request.filter.flatten().unwrap_or_default();
        let limit = request.limit.unwrap_or(HISTORY).min(MAX_HISTORY);
        let page = self.server.recent.history(request.before.unwrap_or(u64::MAX), limit, &filter);
        let mut bytes = 0;
        let fits = |record: &&Arc<Record>| {
            bytes += crate::recent::bytes(record);
            bytes <= MAX_HISTORY_BYTES
        };
        // At least the newest one, or the viewer would never get further.
        let count = page.records.iter().rev().take_while(fits).count().max(1).min(page.records.len());
        let (left_out, records) = page.records.split_at(page.records.len() - count);
        let records = records.iter().map(|record| &**record).collect();
        Outcome::ok(&History { records, first: page.first, more: page.more || !left_out.is_empty() })
    }
}

fn is_id(id: &Value) -> bool {
    id.is_number() || id.as_str().is_some_and(|id| id.len() <= 256)
}

fn wrong(why: &str) -> Outcome {
    Outcome::failed("request", why)
}

fn required(member: Option<String>, name: &str) -> Result<String, String> {
    member.ok_or_else(|| format!("this request needs `{name}`, a string"))
}

fn arguments(args: Option<Box<RawValue>>) -> Result<Payload, String> {
    match args {
        None => Ok(Payload::no_args()),
        Some(args) if args.get().starts_with('[') => {
            Payload::from_json(args.get().to_owned()).map_err(|error| error.to_string())
        }
        Some(_) => Err("`args` must be an array".to_owned()),
    }
}

fn check_capacity(tasks: &HashMap<String, AbortHandle>, key: &str) -> Result<(), String> {
    if tasks.contains_key(key) {
        return Err("a request with this id is in progress".to_owned());
    }
    match tasks.len() < MAX_TASKS {
        true => Ok(()),
        false => Err(format!("{MAX_TASKS} requests of this kind are in progress: end one of them first")),
    }
}

/// Ends a call or a subscription.
fn end(tasks: &mut HashMap<String, AbortHandle>, id: Option<&Value>, member: &str) -> Result<Option<Outcome>, String> {
    let id = id.ok_or_else(|| format!("this request needs `{member}`, the id of another request"))?;
    let task = tasks.get(&id.to_string());
    if let Some(task) = task {
        task.abort();
    }
    Ok(Some(Outcome::ok(&task.is_some())))
}

fn message(kind: &str, listen: &Value, member: &str, number: u64) -> String {
    json!({ "type": kind, "listen": listen, member: number }).to_string()
}

/// An occurrence of an event, as a message.
fn occurrence(server: &Server, listen: &Value, args: Rest) -> String {
    #[derive(Serialize)]
    struct Occurrence<'a> {
        r#type: &'static str,
        listen: &'a Value,
        at: u64,
        args: Box<RawValue>,
        #[serde(skip_serializing_if = "Option::is_none")]
        cut: Option<usize>,
    }
    let (args, cut) = server.recent.capture().shown(&Payload::new(args), MAX_ARGS);
    let at = server.statistics.now();
    let args = args.unwrap_or_else(null);
    serde_json::to_string(&Occurrence { r#type: "event", listen, at, args, cut }).unwrap_or_default()
}
