//! The contract, member by member; see the table in `connector_core::stp`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use connector_core::stp::{RequestHandler, StpConnector, StpRequestError, StpService, StpTimeout};
use serde_json::json;
use tokio::net::TcpListener;
use transport_ws::stp::{StpWsConfig, StpWsConnector};

use crate::support::*;

#[tokio::test]
async fn names_and_ids() {
    let hub = hub().await;
    let connector = StpWsConnector::new(&hub.url);
    assert_eq!(
        (connector.base_name(), connector.name(), connector.is_connected()),
        (String::new(), String::new(), false)
    );
    let mut names = HashSet::new();
    for _ in 0..3 {
        let connector = StpWsConnector::new(&hub.url);
        let service = StpService::new("Tasks", ["A"]).machine_id("m");
        assert_eq!(soon(connector.connect(service, seconds(5.0))).await.unwrap(), "m");
        assert_eq!((connector.base_name(), connector.machine_id()), ("Tasks".to_owned(), Some("m".to_owned())));
        assert!(connector.name().starts_with("Tasks_") && connector.is_connected());
        assert!(names.insert(connector.name()), "unique among instances");
    }
}

#[tokio::test]
async fn the_contract_is_object_safe() {
    let hub = hub().await;
    let connector: Arc<dyn StpConnector> = Arc::new(StpWsConnector::new(&hub.url));
    connector.connect(StpService::new("Tasks", ["A"]), StpTimeout::default()).await.unwrap();
    connector.inform(r#"{"method":"B"}"#, StpTimeout::default()).await.unwrap();
    connector.disconnect(StpTimeout::default()).await.unwrap();
}

/// More than one service asks; each is answered, one after another in order of arrival, however long the first takes.
#[tokio::test]
async fn requests_are_answered_in_order_of_arrival() {
    let hub = hub().await;
    let (answerer, _) = hub.service("Answerer", &["A"]).await;
    let order = Notes::default();
    let noted = order.clone();
    answerer.on_request(RequestHandler::new(move |message: String| {
        let noted = noted.clone();
        async move {
            if message.contains("slow") {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            noted.add(message.clone());
            Ok::<_, String>(message)
        }
    }));
    let mut peers = Vec::new();
    for n in 0..3 {
        let mut peer = Peer::dial(&hub.url).await;
        peer.register(json!({"serviceName": "Asker", "solvables": [], "sessionId": "s"})).await;
        let what = if n == 0 { "slow" } else { "quick" };
        peer.ask(10 + n, &json!({"method": "A", "params": [what, n]}), 30.0).await;
        until(|| hub.handle.counters().requests == n as u64 + 1).await;
        peers.push(peer);
    }
    for (n, peer) in peers.iter_mut().enumerate() {
        let answer = peer.json().await;
        assert_eq!(answer["params"]["cookie"], 10 + n);
        assert!(answer["params"]["result"].as_str().unwrap().contains(&format!(",{n}]")), "{answer}");
    }
    let order: Vec<bool> = order.all().iter().map(|message| message.contains("slow")).collect();
    assert_eq!(order, [true, false, false]);
}

/// A handler that never ends holds up the next request no longer than its own asker waits.
#[tokio::test]
async fn a_handler_that_hangs_is_given_up_when_its_asker_is() {
    let hub = hub().await;
    let (answerer, _) = hub.service("Answerer", &["hang", "go"]).await;
    answerer.on_request(RequestHandler::new(|message: String| async move {
        match message.contains("hang") {
            true => std::future::pending().await,
            false => Ok::<_, String>("gone on".to_owned()),
        }
    }));
    let (asker, _) = hub.service("Asker", &[]).await;
    let ask = async |method, limit| asker.request(&json!({"method": method}).to_string(), seconds(limit)).await;
    let (hang, go) = soon(async { tokio::join!(ask("hang", 0.2), ask("go", 8.0)) }).await;
    assert!(matches!(hang, Err(StpRequestError::TimedOut(_) | StpRequestError::Refused(_))), "{hang:?}");
    assert_eq!(go.unwrap(), ["gone on"]);
}

/// More than may wait for the handler are refused; the others have their answer.
#[tokio::test]
async fn requests_to_a_service_are_bounded() {
    let hub = hub().await;
    let connector = StpWsConnector::with(&hub.url, StpWsConfig::default().max_incoming(2));
    connector.on_request(RequestHandler::new(|message: String| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok::<_, String>(message)
    }));
    let service = StpService::new("Answerer", ["A"]).session_id("s");
    soon(connector.connect(service, seconds(5.0))).await.unwrap();
    let (asker, _) = hub.service("Asker", &[]).await;
    let asks = (0..5).map(|_| asker.request(r#"{"method":"A"}"#, seconds(5.0)));
    let answers = soon(futures_util::future::join_all(asks)).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    // One runs and two wait; if all five come before the first has begun to run, two do.
    assert!((2..=3).contains(&refused.len()), "{answers:?}");
    assert!(refused[0].to_string().starts_with("the service is busy: 2 requests wait"), "{}", refused[0]);
}

/// An STP played by hand: what a request gives, and what a late answer does.
#[tokio::test]
async fn requests_as_a_service_sees_them() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let stp = tokio::spawn(async move {
        use futures_util::{SinkExt, StreamExt};
        use tokio_tungstenite::tungstenite::Message;
        let (stream, _) = listener.accept().await.unwrap();
        let mut ws = tokio_tungstenite::accept_async(stream).await.unwrap();
        let mut seen = Vec::new();
        while let Some(Ok(frame)) = ws.next().await {
            let Message::Text(text) = frame else { continue };
            let Ok(frame) = serde_json::from_str::<serde_json::Value>(&text) else {
                seen.push(text.as_str().to_owned());
                continue;
            };
            let asked = frame["params"]["jsonRequest"].as_str().unwrap_or_default().to_owned();
            let cookie = frame["params"]["cookie"].clone();
            let (success, result) = match &*asked {
                "many" => (true, json!(["a", 1, {"b": 2}])),
                "one" => (true, json!({"x": 1})),
                "none" => (true, json!(null)),
                "refuse" => (false, json!("no")),
                "late" => (true, json!("late")),
                register if register.contains("Register") => (true, json!("the session")),
                _ => continue,
            };
            if asked == "late" {
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            let answer = json!({"method": "RequestResponse",
                "params": {"cookie": cookie, "success": success, "result": result}});
            ws.send(Message::text(answer.to_string())).await.unwrap();
        }
        seen
    });
    let connector = StpWsConnector::new(&url);
    let notes = listen(&connector);
    assert_eq!(soon(connector.connect(StpService::new("Tasks", ["A"]), seconds(5.0))).await.unwrap(), "the session");
    let ask = async |message: &str, limit: f64| soon(connector.request(message, seconds(limit))).await;
    assert_eq!(ask("many", 5.0).await.unwrap(), ["a", "1", r#"{"b":2}"#]);
    assert_eq!(ask("one", 5.0).await.unwrap(), [r#"{"x":1}"#]);
    assert_eq!(ask("none", 5.0).await.unwrap(), [""; 0]);
    assert!(matches!(ask("refuse", 5.0).await, Err(StpRequestError::Refused(why)) if why == "no"));
    let limit = Duration::from_millis(100);
    assert!(matches!(ask("late", 0.1).await, Err(StpRequestError::TimedOut(waited)) if waited == limit));
    // The late answer of the one before comes first, and is dropped.
    assert_eq!(ask("one", 5.0).await.unwrap(), [r#"{"x":1}"#]);
    let opaque = "not even JSON: an API message is opaque";
    connector.inform(opaque, seconds(30.0)).await.unwrap();
    soon(connector.disconnect(seconds(5.0))).await.unwrap();
    assert_eq!(soon(stp).await.unwrap(), [opaque]);
    assert!(notes.all().is_empty(), "{:?}", notes.all());
}

/// The wire of the later form, to the letter.
#[tokio::test]
async fn what_is_written() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/one", listener.local_addr().unwrap());
    let stp = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut ws = tokio_tungstenite::accept_async(stream).await.unwrap();
        let frame = futures_util::StreamExt::next(&mut ws).await.unwrap().unwrap();
        serde_json::from_str::<serde_json::Value>(frame.to_text().unwrap()).unwrap()
    };
    let connector = StpWsConnector::new(&url);
    let service = StpService::new("Tasks", ["A", "B"]).machine_id("m").session_id("s");
    let (connected, frame) = soon(async { tokio::join!(connector.connect(service, seconds(2.0)), stp) }).await;
    connected.unwrap_err();
    assert_eq!((&frame["method"], &frame["params"]["cookie"]), (&json!("Request"), &json!(0)));
    assert_eq!(frame["params"]["timeout"], 2);
    let register: serde_json::Value = serde_json::from_str(frame["params"]["jsonRequest"].as_str().unwrap()).unwrap();
    let name = register["params"]["serviceName"].as_str().unwrap().to_owned();
    assert!(name.starts_with("Tasks_"), "{name}");
    assert_eq!(
        register,
        json!({"method": "Register", "params": {"serviceName": name, "language": "rust", "solvables": ["A", "B"],
            "machineId": "m", "sessionId": "s"}})
    );
}
