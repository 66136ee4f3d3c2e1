//! An engine with an inspector, and a viewer.

use std::time::{Duration, Instant};

use connector_core::{Context, Engine, Plugin, PluginClient};
use connector_inspect::{Inspector, ServeOptions, serve};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Prevents a test from hanging.
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, what).await.expect("it hangs")
}

/// An engine with `app`, which is active, and `calc`.
pub(crate) async fn engine() -> (Engine, PluginClient) {
    let engine = Engine::new();
    let app = engine.register(Plugin::new("app")).unwrap();
    engine.register(calc()).unwrap();
    engine.manager().activate("app").await.unwrap();
    (engine, app)
}

pub(crate) fn calc() -> Plugin {
    Plugin::new("calc")
        .method("add", |a: i64, b: i64| async move { a + b })
        .method("divide", |a: f64, b: f64| async move {
            if b == 0.0 { Err("cannot divide by zero".to_owned()) } else { Ok(a / b) }
        })
        .method("text", |bytes: usize| async move { "x".repeat(bytes) })
        .method("hang", std::future::pending::<()>)
        .method("caller", |ctx: Context| async move { ctx.from().to_string() })
        .method("tick", |ctx: Context, number: u64| async move { ctx.client().emit("ticked", (number,)).await })
}

pub(crate) async fn calls_allowed(engine: &Engine) -> Inspector {
    serve(engine, ServeOptions::default().allow_calls(true)).await.unwrap()
}

pub(crate) fn token(inspector: &Inspector) -> &str {
    inspector.url().split_once("token=").unwrap().1
}

/// Sends a request, and returns the status and the whole response.
pub(crate) async fn http(inspector: &Inspector, target: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let mut stream = TcpStream::connect(inspector.local_addr()).await.unwrap();
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let close = if headers.contains("Connection") { "" } else { "Connection: close\r\n" };
    stream.write_all(format!("GET {target} HTTP/1.1\r\n{headers}{close}\r\n").as_bytes()).await.unwrap();
    let mut response = String::new();
    within(stream.read_to_string(&mut response)).await.unwrap();
    let status = response.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, response)
}

/// A viewer's websocket.
pub(crate) struct Viewer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) hello: Value,
    ids: u64,
    /// Received while a response was awaited.
    early: Vec<Value>,
}

impl Viewer {
    pub(crate) async fn connect(inspector: &Inspector) -> Viewer {
        let mut request = format!("ws://{}/ws", inspector.local_addr()).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {}", token(inspector)).parse().unwrap());
        let (socket, _) = within(connect_async(request)).await.unwrap();
        let mut viewer = Viewer { socket, hello: Value::Null, ids: 0, early: Vec::new() };
        viewer.hello = viewer.next("hello").await;
        viewer
    }

    /// The next message; `None` at the end.
    pub(crate) async fn read(&mut self) -> Option<Value> {
        loop {
            match within(self.socket.next()).await? {
                Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    /// The next message of a type.
    pub(crate) async fn next(&mut self, kind: &str) -> Value {
        self.next_where(|message| message["type"] == kind).await
    }

    async fn next_where(&mut self, is_expected: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.early.iter().position(&is_expected) {
            return self.early.remove(at);
        }
        let began = Instant::now();
        loop {
            let message = self.read().await.expect("the viewer was disconnected");
            if is_expected(&message) {
                return message;
            }
            self.early.push(message);
            // States keep coming.
            assert!(began.elapsed() < LIMIT, "it hangs; received meanwhile: {:?}", self.early);
        }
    }

    /// Sends a request, and returns its id.
    pub(crate) async fn send(&mut self, kind: &str, members: Value) -> u64 {
        self.ids += 1;
        let mut request = json!({ "type": kind, "id": self.ids });
        request.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        self.socket.send(Message::text(request.to_string())).await.unwrap();
        self.ids
    }

    pub(crate) async fn send_text(&mut self, text: String) -> Result<(), Error> {
        self.socket.send(Message::text(text)).await
    }

    /// The response to a request.
    pub(crate) async fn response(&mut self, id: u64) -> Value {
        self.next_where(|message| message["type"] == "result" && message["id"] == id).await
    }

    pub(crate) async fn request(&mut self, kind: &str, members: Value) -> Value {
        let id = self.send(kind, members).await;
        self.response(id).await
    }

    pub(crate) async fn ok(&mut self, kind: &str, members: Value) -> Value {
        let response = self.request(kind, members).await;
        assert!(response.get("error").is_none(), "{response}");
        response["ok"].clone()
    }

    pub(crate) async fn code(&mut self, kind: &str, members: Value) -> String {
        let response = self.request(kind, members).await;
        response["code"].as_str().unwrap_or_else(|| panic!("{response}")).to_owned()
    }
}

/// What a viewer knows from state messages.
#[derive(Default, Debug)]
pub(crate) struct Known {
    pub(crate) plugins: std::collections::BTreeMap<String, Value>,
    pub(crate) edges: std::collections::BTreeMap<(String, String), Value>,
    pub(crate) messages: Vec<Value>,
}

impl Known {
    /// Reads states until one is as expected.
    pub(crate) async fn until(&mut self, viewer: &mut Viewer, is_expected: impl Fn(&Known) -> bool) {
        let began = Instant::now();
        while !is_expected(self) {
            assert!(began.elapsed() < LIMIT, "it hangs; known: {self:?}");
            let state = viewer.next("state").await;
            if state["full"] == true {
                self.plugins.clear();
                self.edges.clear();
            }
            for plugin in state["plugins"].as_array().into_iter().flatten() {
                let known = self.plugins.entry(plugin["name"].as_str().unwrap().to_owned()).or_insert(json!({}));
                known.as_object_mut().unwrap().extend(plugin.as_object().unwrap().clone());
            }
            for edge in state["edges"].as_array().into_iter().flatten() {
                let end = |name: &str| edge[name].as_str().unwrap().to_owned();
                self.edges.insert((end("from"), end("to")), edge.clone());
            }
            for name in state["removed"].as_array().into_iter().flatten() {
                self.plugins.remove(name.as_str().unwrap());
            }
            self.messages.push(state);
        }
    }
}
