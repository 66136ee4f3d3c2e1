//! A hub, services, and a peer played by hand.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connector_core::stp::{ErrorHandler, InformHandler, RequestHandler, StpConnector, StpService, StpTimeout};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use transport_ws::stp::{StpHub, StpHubConfig, StpHubHandle, StpWsConnector};

/// Nothing here takes this long, unless it hangs; and it is less than STP's own 30 s.
pub async fn soon<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("it hangs")
}

/// Until it is so.
pub async fn until(what: impl Fn() -> bool) {
    soon(async {
        while !what() {
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
    /// Dies at once, with every connection.
    pub async fn kill(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    pub fn addr(&self) -> String {
        self.url.trim_start_matches("ws://").to_owned()
    }

    /// A service in session `s`, and what it hears; it answers requests with its name and the message.
    pub async fn service(&self, name: &str, solvables: &[&str]) -> (StpWsConnector, Notes) {
        self.service_in("s", name, solvables).await
    }

    pub async fn service_in(&self, session: &str, name: &str, solvables: &[&str]) -> (StpWsConnector, Notes) {
        let connector = StpWsConnector::new(&self.url);
        let notes = listen(&connector);
        let answers = name.to_owned();
        connector.on_request(RequestHandler::new(move |message| {
            let answer = format!("{answers}: {message}");
            async { Ok::<_, String>(answer) }
        }));
        let service = StpService::new(name, solvables.iter().copied()).session_id(session);
        assert_eq!(soon(connector.connect(service, seconds(10.0))).await.unwrap(), session);
        (connector, notes)
    }
}

pub fn seconds(seconds: f64) -> StpTimeout {
    StpTimeout::from_seconds(seconds)
}

/// What was noted, in order.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    pub fn add(&self, note: impl Into<String>) {
        self.0.lock().unwrap().push(note.into());
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

/// Notes informs, and errors after a `!`.
pub fn listen(connector: &dyn StpConnector) -> Notes {
    let notes = Notes::default();
    let (informs, errors) = (notes.clone(), notes.clone());
    connector.on_inform(InformHandler::new(move |message| informs.add(message)));
    connector.on_error(ErrorHandler::new(move |error| errors.add(format!("!{error}"))));
    notes
}

/// A peer played by hand: text in, text out.
pub struct Peer(pub WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Peer {
    pub async fn dial(url: &str) -> Peer {
        Peer(soon(connect_async(url)).await.unwrap().0)
    }

    pub async fn send(&mut self, text: impl Into<String>) {
        soon(self.0.send(Message::text(text.into()))).await.unwrap();
    }

    /// The next text; `None` once the link has ended.
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

    /// As the later connector asks.
    pub async fn ask(&mut self, cookie: i64, message: &Value, timeout: f64) {
        let params = json!({"jsonRequest": message.to_string(), "cookie": cookie, "timeout": timeout});
        self.send(json!({"method": "Request", "params": params}).to_string()).await;
    }

    pub async fn answer(&mut self, cookie: &Value, success: bool, result: Value) {
        let params = json!({"cookie": cookie, "success": success, "result": result});
        self.send(json!({"method": "RequestResponse", "params": params}).to_string()).await;
    }

    /// Registers in the later form; gives the session's id.
    pub async fn register(&mut self, params: Value) -> Value {
        self.ask(0, &json!({"method": "Register", "params": params}), 30.0).await;
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
