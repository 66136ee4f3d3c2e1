//! The STP contract, member by member. See the table in `connector_core::stp`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use connector_core::stp::{RequestHandler, StpConnector, StpRequestError, StpService, StpTimeout};
use serde_json::json;
use tokio::net::TcpListener;
use transport_ws::stp::{StpWsConfig, StpWsConnector};

use crate::support::*;

#[tokio::test]
async fn a_connected_service_reports_its_names_and_ids() {
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
        assert!(names.insert(connector.name()), "names are unique among instances");
    }
}

#[tokio::test]
async fn the_connector_works_as_a_trait_object() {
    let hub = hub().await;
    let connector: Arc<dyn StpConnector> = Arc::new(StpWsConnector::new(&hub.url));
    connector.connect(StpService::new("Tasks", ["A"]), StpTimeout::default()).await.unwrap();
    connector.inform(r#"{"method":"B"}"#, StpTimeout::default()).await.unwrap();
    connector.disconnect(StpTimeout::default()).await.unwrap();
}

/// Requests from several services are answered one at a time in order of arrival, even if the first takes long.
#[tokio::test]
async fn requests_are_answered_in_order_of_arrival() {
    let hub = hub().await;
    let (answerer, _) = hub.service("Answerer", &["A"]).await;
    let order = Log::default();
    let log = order.clone();
    answerer.on_request(RequestHandler::new(move |message: String| {
        let log = log.clone();
        async move {
            if message.contains("slow") {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            log.add(message.clone());
            Ok::<_, String>(message)
        }
    }));
    let mut peers = Vec::new();
    for n in 0..3 {
        let mut peer = Peer::dial(&hub.url).await;
        peer.register(json!({"serviceName": "Asker", "solvables": [], "sessionId": "s"})).await;
        let what = if n == 0 { "slow" } else { "quick" };
        peer.request(10 + n, &json!({"method": "A", "params": [what, n]}), 30.0).await;
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

/// A handler that never ends delays the next request only until its own request times out.
#[tokio::test]
async fn a_hanging_handler_is_dropped_when_its_request_times_out() {
    let hub = hub().await;
    let (answerer, _) = hub.service("Answerer", &["hang", "go"]).await;
    answerer.on_request(RequestHandler::new(|message: String| async move {
        match message.contains("hang") {
            true => std::future::pending().await,
            false => Ok::<_, String>("answered".to_owned()),
        }
    }));
    let (requester, _) = hub.service("Asker", &[]).await;
    let request = async |method, limit| requester.request(&json!({"method": method}).to_string(), seconds(limit)).await;
    let (hang, go) = soon(async { tokio::join!(request("hang", 0.2), request("go", 8.0)) }).await;
    assert!(matches!(hang, Err(StpRequestError::TimedOut(_) | StpRequestError::Refused(_))), "{hang:?}");
    assert_eq!(go.unwrap(), ["answered"]);
}

/// Requests beyond the queue's capacity are refused; the others are answered.
#[tokio::test]
async fn requests_queued_for_a_handler_are_bounded() {
    let hub = hub().await;
    let connector = StpWsConnector::with_config(&hub.url, StpWsConfig::default().max_incoming(2));
    connector.on_request(RequestHandler::new(|message: String| async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok::<_, String>(message)
    }));
    let service = StpService::new("Answerer", ["A"]).session_id("s");
    soon(connector.connect(service, seconds(5.0))).await.unwrap();
    let (requester, _) = hub.service("Asker", &[]).await;
    let requests = (0..5).map(|_| requester.request(r#"{"method":"A"}"#, seconds(5.0)));
    let answers = soon(futures_util::future::join_all(requests)).await;
    let refused: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
    // One runs and two are queued, or only two are queued if all five arrive before the first starts.
    assert!((2..=3).contains(&refused.len()), "{answers:?}");
    assert!(refused[0].to_string().starts_with("the service is busy: 2 requests are queued"), "{}", refused[0]);
}

/// A scripted STP: the results of requests, and the effect of a late answer.
#[tokio::test]
async fn requests_return_items_refusals_and_timeouts() {
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
            let requested = frame["params"]["jsonRequest"].as_str().unwrap_or_default().to_owned();
            let cookie = frame["params"]["cookie"].clone();
            let (success, result) = match &*requested {
                "many" => (true, json!(["a", 1, {"b": 2}])),
                "one" => (true, json!({"x": 1})),
                "none" => (true, json!(null)),
                "refuse" => (false, json!("no")),
                "late" => (true, json!("late")),
                register if register.contains("Register") => (true, json!("the session")),
                _ => continue,
            };
            if requested == "late" {
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
            let answer = json!({"method": "RequestResponse",
                "params": {"cookie": cookie, "success": success, "result": result}});
            ws.send(Message::text(answer.to_string())).await.unwrap();
        }
        seen
    });
    let connector = StpWsConnector::new(&url);
    let log = listen(&connector);
    assert_eq!(soon(connector.connect(StpService::new("Tasks", ["A"]), seconds(5.0))).await.unwrap(), "the session");
    let request = async |message: &str, limit: f64| soon(connector.request(message, seconds(limit))).await;
    assert_eq!(request("many", 5.0).await.unwrap(), ["a", "1", r#"{"b":2}"#]);
    assert_eq!(request("one", 5.0).await.unwrap(), [r#"{"x":1}"#]);
    assert_eq!(request("none", 5.0).await.unwrap(), [""; 0]);
    assert!(matches!(request("refuse", 5.0).await, Err(StpRequestError::Refused(why)) if why == "no"));
    let limit = Duration::from_millis(100);
    assert!(matches!(request("late", 0.1).await, Err(StpRequestError::TimedOut(waited)) if waited == limit));
    // The late answer to the previous request arrives first and is dropped.
    assert_eq!(request("one", 5.0).await.unwrap(), [r#"{"x":1}"#]);
    let opaque = "not even JSON: an API message is opaque";
    connector.inform(opaque, seconds(30.0)).await.unwrap();
    soon(connector.disconnect(seconds(5.0))).await.unwrap();
    assert_eq!(soon(stp).await.unwrap(), [opaque]);
    assert!(log.all().is_empty(), "{:?}", log.all());
}

/// The exact frame of the newer protocol.
#[tokio::test]
async fn a_register_frame_has_the_published_form() {
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
