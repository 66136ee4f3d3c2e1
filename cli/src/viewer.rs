//! A viewer of a running engine, at the other end of its inspector's websocket: see docs/inspector-protocol.md.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use connector_core::redacted_url;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use url::Url;

use crate::failure::Failure;
use crate::host::MANAGER;

/// The version of the protocol.
const PROTOCOL: u64 = 1;
/// Added to the limit of a call, which the inspector enforces.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) struct Viewer {
    socket: WebSocketStream<TcpStream>,
    /// Plugins that are not listed: those of the engine, the inspector and the command.
    hidden: Vec<String>,
    /// The members of each plugin, as the protocol describes them.
    plugins: BTreeMap<String, Map<String, Value>>,
    /// Whether the state has been received whole.
    is_complete: bool,
    /// How long that may take.
    limit: Duration,
    requests: u64,
    events: VecDeque<ViewerEvent>,
}

/// The inspector's answer to a request.
pub(crate) struct Answer {
    /// JSON, or if it was cut a string with its beginning.
    pub(crate) value: Box<RawValue>,
    /// The length of what was cut, in bytes.
    pub(crate) cut: Option<usize>,
}

/// Of a subscription.
pub(crate) enum ViewerEvent {
    /// The arguments, as JSON.
    Args(Box<RawValue>),
    /// So many were left out.
    Missed(u64),
    Ended,
}

/// A message of the inspector. Which members it has follows from its type.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Incoming {
    r#type: String,
    protocol: u64,
    caller: String,
    full: bool,
    more: bool,
    plugins: Vec<Map<String, Value>>,
    removed: Vec<String>,
    id: Option<u64>,
    ok: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
    code: Option<String>,
    cut: Option<usize>,
    args: Option<Box<RawValue>>,
    count: u64,
}

enum Received {
    State,
    Result { id: u64, outcome: Result<Answer, Failure> },
    Other,
}

impl Viewer {
    /// # Errors
    /// The URL is not an inspector's, or it does not let the viewer in.
    pub(crate) async fn connect(url: &str, limit: Duration) -> Result<Viewer, Failure> {
        let shown = redacted_url(url);
        match timeout(limit, Viewer::connect_to(url, &shown, limit)).await {
            Ok(connected) => connected,
            Err(_) => Err(Failure::late(format!("the inspector at {shown} does not answer within {limit:?}"))),
        }
    }

    async fn connect_to(url: &str, shown: &str, limit: Duration) -> Result<Viewer, Failure> {
        let hint = "give the URL that the inspector printed, such as http://127.0.0.1:4100/?token=…";
        let url = Url::parse(url).ok().filter(|url| url.scheme() == "http");
        let url = url.ok_or_else(|| Failure::usage(format!("--at {shown}: not the URL of an inspector; {hint}")))?;
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(80));
        let token = url.query_pairs().find_map(|(name, value)| (name == "token").then(|| value.into_owned()));
        let token = token.ok_or_else(|| Failure::usage(format!("--at {shown}: the URL has no token; {hint}")))?;
        let bad = |error: &dyn std::fmt::Display| Failure::usage(format!("--at {shown}: {error}"));
        let upgrade = format!("ws://{host}:{port}/ws");
        let mut request = upgrade.into_client_request().map_err(|error| bad(&error))?;
        let bearer = format!("Bearer {token}").parse().map_err(|_| bad(&"no HTTP header can carry the token"))?;
        request.headers_mut().insert(AUTHORIZATION, bearer);
        let unreachable = |error: &dyn std::fmt::Display| {
            Failure::unreachable(format!("the inspector at {shown} cannot be reached: {error}"))
        };
        // Only a URL has brackets around an IPv6 address.
        let address = (host.trim_start_matches('[').trim_end_matches(']'), port);
        let stream = TcpStream::connect(address).await.map_err(|error| unreachable(&error))?;
        let (socket, _) = client_async(request, stream).await.map_err(|error| match error {
            tungstenite::Error::Http(response) => {
                let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                let reason = body.lines().next().map_or_else(|| response.status().to_string(), str::to_owned);
                Failure::unreachable(format!("the inspector at {shown} refuses the connection: {reason}"))
            }
            error => unreachable(&error),
        })?;
        let mut viewer = Viewer {
            socket,
            hidden: vec![MANAGER.to_owned()],
            plugins: BTreeMap::new(),
            is_complete: false,
            limit,
            requests: 0,
            events: VecDeque::new(),
        };
        let hello = viewer.incoming().await?;
        if (hello.r#type.as_str(), hello.protocol) != ("hello", PROTOCOL) {
            return Err(unreachable(&"it is not an inspector, or one of another version"));
        }
        viewer.hide(hello.caller);
        Ok(viewer)
    }

    /// Does not list a plugin.
    pub(crate) fn hide(&mut self, plugin: impl Into<String>) {
        self.hidden.push(plugin.into());
    }

    /// Cancel safe.
    async fn incoming(&mut self) -> Result<Incoming, Failure> {
        let ended =
            |why: &dyn std::fmt::Display| Failure::lost(format!("the connection to the inspector is lost: {why}"));
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    return serde_json::from_str(&text)
                        .map_err(|error| ended(&format_args!("not its protocol: {error}")));
                }
                Some(Ok(Message::Close(Some(frame)))) => return Err(ended(&frame.reason)),
                Some(Ok(Message::Close(None))) | None => return Err(ended(&"the inspector has ended")),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(ended(&error)),
            }
        }
    }

    /// Cancel safe.
    async fn receive(&mut self) -> Result<Received, Failure> {
        let incoming = self.incoming().await?;
        Ok(match incoming.r#type.as_str() {
            "state" => {
                self.apply(incoming);
                Received::State
            }
            "result" => {
                let value = |json: Option<Box<RawValue>>| json.unwrap_or_else(|| RawValue::NULL.to_owned());
                let outcome = match incoming.code {
                    Some(code) => Err(Failure::of_code(&code, &value(incoming.error))),
                    None => Ok(Answer { value: value(incoming.ok), cut: incoming.cut }),
                };
                Received::Result { id: incoming.id.unwrap_or_default(), outcome }
            }
            kind @ ("event" | "missed" | "ended") => {
                self.events.push_back(match (kind, incoming.args) {
                    ("event", Some(args)) => ViewerEvent::Args(args),
                    ("ended", _) => ViewerEvent::Ended,
                    _ => ViewerEvent::Missed(incoming.count.max(1)),
                });
                Received::Other
            }
            _ => Received::Other,
        })
    }

    fn apply(&mut self, state: Incoming) {
        if state.full {
            self.plugins.clear();
        }
        for mut plugin in state.plugins {
            if let Some(Value::String(name)) = plugin.remove("name") {
                self.plugins.entry(name).or_default().append(&mut plugin);
            }
        }
        state.removed.iter().for_each(|name| drop(self.plugins.remove(name)));
        self.is_complete = !state.more;
    }

    /// The plugins of the engine by name, without those that are hidden. Their members are as the protocol describes them.
    pub(crate) async fn plugins(&mut self) -> Result<impl Iterator<Item = (&str, &Map<String, Value>)>, Failure> {
        let limit = self.limit;
        let completing = async {
            while !self.is_complete {
                self.receive().await?;
            }
            Ok::<_, Failure>(())
        };
        match timeout(limit, completing).await {
            Ok(completed) => completed?,
            Err(_) => return Err(Failure::late(format!("the inspector does not send its state within {limit:?}"))),
        }
        let shown = self.plugins.iter().filter(|(name, _)| !self.hidden.contains(name));
        Ok(shown.map(|(name, members)| (name.as_str(), members)))
    }

    /// Completes when the state has changed. Cancel safe.
    pub(crate) async fn changed(&mut self) -> Result<(), Failure> {
        while !matches!(self.receive().await?, Received::State) || !self.is_complete {}
        Ok(())
    }

    /// What the inspector answers to a request of a type with members.
    pub(crate) async fn request(
        &mut self,
        kind: &str,
        mut members: Value,
        args: Option<&RawValue>,
        limit: Duration,
    ) -> Result<Answer, Failure> {
        self.requests += 1;
        let this = self.requests;
        members["type"] = kind.into();
        members["id"] = this.into();
        let mut request = members.to_string();
        // As they are: a value would lose digits.
        if let Some(args) = args {
            request.truncate(request.len() - 1);
            request.push_str(&format!(",\"args\":{}}}", args.get()));
        }
        let answered = timeout(limit.saturating_add(GRACE), async {
            let sent = self.socket.send(Message::text(request)).await;
            sent.map_err(|error| Failure::lost(format!("the connection to the inspector is lost: {error}")))?;
            loop {
                match self.receive().await? {
                    Received::Result { id, outcome } if id == this => return outcome,
                    _ => {}
                }
            }
        });
        answered.await.unwrap_or_else(|_| Err(Failure::late("the inspector does not answer")))
    }

    /// The next event of the subscriptions. Cancel safe.
    pub(crate) async fn event(&mut self) -> Result<ViewerEvent, Failure> {
        loop {
            match self.events.pop_front() {
                Some(event) => return Ok(event),
                None => drop(self.receive().await?),
            }
        }
    }

    /// The details of a plugin, as the protocol describes them.
    pub(crate) async fn details(&mut self, plugin: &str, limit: Duration) -> Result<Value, Failure> {
        let details = self.request("plugin", json!({ "plugin": plugin }), None, limit).await?;
        serde_json::from_str(details.value.get())
            .map_err(|error| Failure::lost(format!("not the inspector's protocol: {error}")))
    }
}
