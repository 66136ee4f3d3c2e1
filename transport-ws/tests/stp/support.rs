//! Harness: a hub, services, and a scripted peer.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_core::stp::{
    ErrorHandler, InformHandler, RequestHandler, StpConnector, StpRequestError, StpService, StpTimeout,
};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use transport_ws::stp::{StpHub, StpHubConfig, StpHubHandle, StpWsConnector};

/// Fails if `future` takes longer than any operation in these tests should. Less than STP's own 30 s.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("timed out")
}

/// Waits until `condition` holds.
pub async fn until(condition: impl Fn() -> bool) {
    soon(async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub struct Hub {
    pub url: String,
    pub handle: StpHubHandle,
    pub task: JoinHandle<()>,
}

impl Drop for Hub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub async fn hub() -> Hub {
    hub_with("127.0.0.1:0", StpHubConfig::default()).await
}

pub async fn hub_with(addr: &str, config: StpHubConfig) -> Hub {
    let hub = StpHub::bind(addr, config).await.unwrap();
    let (url, handle) = (hub.url(), hub.handle());
    Hub { url, handle, task: tokio::spawn(hub.serve()) }
}

impl Hub {
    /// Aborts the hub with all its connections.
    pub async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub fn addr(&self) -> String {
        self.url.trim_start_matches("ws://").to_owned()
    }

    /// A service in session `s`, and a log of its informs and errors. It answers requests with its name and the message.
    pub async fn service(&self, name: &str, solvables: &[&str]) -> (StpWsConnector, Log) {
        self.service_in("s", name, solvables).await
    }

    pub async fn service_in(&self, session: &str, name: &str, solvables: &[&str]) -> (StpWsConnector, Log) {
        let connector = StpWsConnector::new(&self.url);
        let log = listen(&connector);
        let answers = name.to_owned();
        connector.on_request(RequestHandler::new(move |message| {
            let answer = format!("{answers}: {message}");
            async { Ok::<_, String>(answer) }
        }));
        let service = StpService::new(name, solvables.iter().copied()).session_id(session);
        assert_eq!(soon(connector.connect(service, seconds(10.0))).await.unwrap(), session);
        (connector, log)
    }
}

pub fn seconds(seconds: f64) -> StpTimeout {
    StpTimeout::from_seconds(seconds)
}

/// A log of messages, in order.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    pub fn add(&self, entry: impl Into<String>) {
        self.0.lock().unwrap().push(entry.into());
    }

    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }

    pub fn len(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    pub async fn next(&self) -> String {
        until(|| self.len() > 0).await;
        self.0.lock().unwrap().remove(0)
    }
}

/// Logs informs, and errors with a `!` prefix.
pub fn listen(connector: &dyn StpConnector) -> Log {
    let log = Log::default();
    let (informs, errors) = (log.clone(), log.clone());
    connector.on_inform(InformHandler::new(move |message| informs.add(message)));
    connector.on_error(ErrorHandler::new(move |error| errors.add(format!("!{error}"))));
    log
}

/// A scripted peer that sends and receives text frames.
pub struct Peer(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Peer {
    pub async fn dial(url: &str) -> Peer {
        Peer(soon(connect_async(url)).await.unwrap().0)
    }

    pub async fn send(&mut self, text: impl Into<String>) {
        soon(self.0.send(Message::text(text.into()))).await.unwrap();
    }

    /// The next text frame; `None` if the link has ended.
    pub async fn text(&mut self) -> Option<String> {
        loop {
            match soon(self.0.next()).await? {
                Ok(Message::Text(text)) => return Some(text.as_str().to_owned()),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    pub async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await.expect("the link has ended")).unwrap()
    }

    /// Sends a request as the newer connector does.
    pub async fn request(&mut self, cookie: i64, message: &Value, timeout: f64) {
        let params = json!({"jsonRequest": message.to_string(), "cookie": cookie, "timeout": timeout});
        self.send(json!({"method": "Request", "params": params}).to_string()).await;
    }

    pub async fn answer(&mut self, cookie: &Value, success: bool, result: Value) {
        let params = json!({"cookie": cookie, "success": success, "result": result});
        self.send(json!({"method": "RequestResponse", "params": params}).to_string()).await;
    }

    /// A service in session `s`.
    pub async fn service(hub: &Hub, name: &str, solvables: &[&str]) -> Peer {
        let mut peer = Peer::dial(&hub.url).await;
        peer.register(json!({"serviceName": name, "solvables": solvables, "sessionId": "s"})).await;
        peer
    }

    /// A request that is pending in the hub: the service `Slow` that has received it, the request, and its sender.
    pub async fn pending_request(hub: &Hub, cookie: i64, timeout: f64) -> (Peer, Value, Peer) {
        let mut slow = Peer::service(hub, "Slow", &["A"]).await;
        let mut requester = Peer::service(hub, "Asker", &[]).await;
        requester.request(cookie, &json!({"method": "A"}), timeout).await;
        let request = slow.json().await;
        (slow, request, requester)
    }

    /// Registers as the newer connector does, and returns the session's id.
    pub async fn register(&mut self, params: Value) -> Value {
        self.request(0, &json!({"method": "Register", "params": params}), 30.0).await;
        let answer = self.json().await;
        assert_eq!(
            (&answer["method"], &answer["params"]["cookie"]),
            (&json!("RequestResponse"), &json!(0)),
            "{answer}"
        );
        assert_eq!(answer["params"]["success"], true, "{answer}");
        answer["params"]["result"].clone()
    }
}

/// Sends a request of the method `A` from a task.
pub fn request_a(requester: &StpWsConnector) -> JoinHandle<Result<Vec<String>, StpRequestError>> {
    let requester = requester.clone();
    tokio::spawn(async move { requester.request(r#"{"method":"A"}"#, seconds(30.0)).await })
}

/// Accepts a service, and registers it in session `s`.
pub async fn accept_service(listener: TcpListener) -> WebSocketStream<TcpStream> {
    let (stream, _) = listener.accept().await.unwrap();
    let mut ws = tokio_tungstenite::accept_async(stream).await.unwrap();
    let _register = ws.next().await.unwrap().unwrap();
    let params = json!({"cookie": 0, "success": true, "result": "s"});
    ws.send(Message::text(json!({"method": "RequestResponse", "params": params}).to_string())).await.unwrap();
    ws
}
