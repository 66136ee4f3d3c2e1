//! Invalid input and faults. Each affects only the peer that caused it.

use std::time::{Duration, Instant};

use connector_core::stp::{RequestHandler, StpConnectError, StpConnector, StpInformError, StpRequestError, StpService};
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use transport_ws::stp::{StpHubConfig, StpWsConfig, StpWsConnector};
use transport_ws::{WsConfig, WsConnectorConfig, WsServerConfig};

use crate::support::*;

#[tokio::test]
async fn invalid_frames_are_dropped_and_the_connection_stays_open() {
    let hub = hub().await;
    let mut peer = Peer::service(&hub, "a", &["A"]).await;
    for text in ["", "not JSON", "[1,2]", "{}", r#"{"params":{}}"#, r#"{"method":7}"#, r#"{"method":"Request"}"#] {
        peer.send(text).await;
    }
    peer.0.send(Message::binary(vec![0, 1, 2])).await.unwrap();
    peer.answer(&json!(99), true, json!("an unknown cookie")).await;
    peer.answer(&json!("x"), true, json!("an invalid cookie")).await;
    peer.request(4, &json!({"no": "method"}), 30.0).await;
    let refused = peer.json().await;
    assert_eq!((&refused["params"]["cookie"], &refused["params"]["success"]), (&json!(4), &json!(false)), "{refused}");
    peer.send(r#"{"method":"Request","params":{"cookie":5,"jsonRequest":{"method":"A"}}}"#).await;
    assert_eq!(peer.json().await["params"]["cookie"], 5);
    let counters = hub.handle.counters();
    assert_eq!((counters.dropped, counters.refusals, counters.services), (8, 2, 1));
}

#[tokio::test]
async fn a_register_without_a_name_is_refused_and_can_be_repeated() {
    let hub = hub().await;
    let mut peer = Peer::dial(&hub.url).await;
    for params in [json!({}), json!({"serviceName": ""}), json!({"serviceName": 5}), json!("x"), json!(null)] {
        peer.request(1, &json!({"method": "Register", "params": params}), 30.0).await;
        let refused = peer.json().await;
        assert_eq!(refused["params"]["success"], false, "{refused}");
        assert!(refused["params"]["result"].as_str().unwrap().contains("a service must register with"), "{refused}");
    }
    // An inform gets no answer.
    peer.send(r#"{"method":"Register","params":{"solvables":"A"}}"#).await;
    peer.request(2, &json!({"method": "A"}), 30.0).await;
    assert_eq!(peer.json().await["params"]["result"], "register before sending requests");
    assert_eq!(hub.handle.counters().services, 0);
    peer.register(json!({"serviceName": "a", "solvables": ["A"]})).await;
    assert_eq!(hub.handle.counters().services, 1);
}

#[tokio::test]
async fn the_later_of_two_registers_applies() {
    let hub = hub().await;
    let mut peer = Peer::service(&hub, "Before", &["A"]).await;
    let (sender, _) = hub.service("Teller", &[]).await;
    let waiting = {
        let sender = sender.clone();
        tokio::spawn(async move { sender.request(r#"{"method":"A"}"#, seconds(30.0)).await })
    };
    assert_eq!(peer.json().await["method"], "Request");
    peer.register(json!({"serviceName": "After", "solvables": ["B"], "sessionId": "s"})).await;
    let listing = hub.handle.listing();
    let names: Vec<_> = listing.sessions[0].services.iter().map(|service| &*service.name).collect();
    assert!(names[0] == "After" && names.len() == 2, "{names:?}");
    sender.inform(r#"{"method":"A"}"#, seconds(30.0)).await.unwrap();
    sender.inform(r#"{"method":"B"}"#, seconds(30.0)).await.unwrap();
    assert_eq!(peer.text().await.unwrap(), r#"{"method":"B"}"#);
    // Moving to another session removes it here and ends its pending requests.
    assert_eq!(peer.register(json!({"serviceName": "After", "solvables": "B", "sessionId": "t"})).await, "t");
    let refused = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "After left the session before it answered");
    let counters = hub.handle.counters();
    assert_eq!((counters.services, counters.sessions), (2, 2));
}

#[tokio::test]
async fn a_requester_that_moves_to_another_session_gets_a_refusal() {
    let hub = hub().await;
    let (mut slow, request, mut requester) = Peer::pending_request(&hub, 5, 30.0).await;
    let register = json!({"method": "Register", "params": {"serviceName": "Asker", "sessionId": "t"}});
    requester.request(6, &register, 30.0).await;
    let refused = requester.json().await;
    assert_eq!((&refused["params"]["cookie"], &refused["params"]["success"]), (&json!(5), &json!(false)), "{refused}");
    assert_eq!(refused["params"]["result"], "the requester has registered in another session before the answer");
    assert_eq!(requester.json().await["params"], json!({"cookie": 6, "success": true, "result": "t"}));
    // The answer is late.
    slow.answer(&request["params"]["cookie"], true, json!("late")).await;
    requester.request(7, &json!({"method": "unsolved"}), 30.0).await;
    assert_eq!(requester.json().await["params"]["cookie"], 7);
}

#[tokio::test]
async fn a_url_names_a_session_by_at_most_1024_bytes() {
    let hub = hub().await;
    let service = json!({"method": "Register", "params": {"serviceName": "p", "sessionId": "s"}});
    for (bytes, allowed) in [(1024, true), (1025, false)] {
        let mut peer = Peer::dial(&format!("{}/{}", hub.url, "x".repeat(bytes))).await;
        peer.request(0, &service, 30.0).await;
        let answer = peer.json().await;
        assert_eq!(answer["params"]["success"], allowed, "{answer}");
    }
    assert_eq!(hub.handle.counters().refusals, 1);
}

#[tokio::test]
async fn solvables_may_be_empty_or_a_comma_separated_string() {
    let hub = hub().await;
    let (sender, _) = hub.service("Teller", &[]).await;
    let mut some = Peer::dial(&hub.url).await;
    some.register(json!({"serviceName": "Some", "solvables": " A ,B,, ", "sessionId": "s"})).await;
    for none in [json!([]), json!(""), json!(null), json!(",")] {
        Peer::dial(&hub.url).await.register(json!({"serviceName": "None", "solvables": none, "sessionId": "s"})).await;
    }
    sender.inform(r#"{"method":""}"#, seconds(30.0)).await.unwrap();
    sender.inform(r#"{"method":"B"}"#, seconds(30.0)).await.unwrap();
    assert_eq!(some.text().await.unwrap(), r#"{"method":"B"}"#);
    assert_eq!(hub.handle.listing().sessions[0].services[1].solvables, ["A", "B"]);
}

#[tokio::test]
async fn requests_are_refused_at_once_when_the_answering_service_disconnects() {
    let hub = hub().await;
    let (requester, _) = hub.service("Asker", &[]).await;
    let mut peer = Peer::service(&hub, "Mortal", &["A"]).await;
    let start = Instant::now();
    let requests = request_a(&requester);
    assert_eq!(peer.json().await["method"], "Request");
    drop(peer);
    let refused = soon(requests).await.unwrap().unwrap_err();
    assert_eq!(refused.to_string(), "Mortal left before it answered");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(hub.handle.counters().services, 1, "its registration is removed");
}

#[tokio::test]
async fn pending_requests_of_a_disconnected_service_are_forgotten() {
    let hub = hub().await;
    let (mut slow, request, requester) = Peer::pending_request(&hub, 1, 30.0).await;
    let waiting = || hub.handle.listing().sessions[0].services[0].waiting;
    assert_eq!(waiting(), 1);
    drop(requester);
    until(|| waiting() == 0).await;
    slow.answer(&request["params"]["cookie"], true, json!("too late")).await;
    assert_eq!(
        slow.register(json!({"serviceName": "Slow", "solvables": ["A"]})).await,
        "s",
        "still connected, in the same session"
    );
}

#[tokio::test]
async fn a_frame_over_the_limit_ends_only_its_own_link() {
    let small = WsConfig::default().max_message(100_000);
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().server(WsServerConfig::default().ws(small))).await;
    let (one, _) = hub.service("One", &[]).await;
    let (two, _) = hub.service("Two", &["A"]).await;
    let mut peer = Peer::service(&hub, "Large", &[]).await;
    peer.send(json!({"method": "A", "params": "x".repeat(200_000)}).to_string()).await;
    assert_eq!(peer.text().await, None);
    until(|| hub.handle.counters().services == 2).await;
    assert_eq!(soon(one.request(r#"{"method":"A"}"#, seconds(5.0))).await.unwrap().len(), 1);
    drop(two);
}

/// A connector refuses messages that would make its peer end the link. 16 MiB are accepted.
#[tokio::test]
async fn messages_over_the_limit_are_refused_at_the_sender() {
    let hub = hub().await;
    let (one, _) = hub.service("One", &[]).await;
    let (_two, log) = hub.service("Two", &["A"]).await;
    let sized = |bytes: usize| {
        let frame = json!({"method": "A", "params": ""}).to_string().len();
        json!({"method": "A", "params": "x".repeat(bytes - frame)}).to_string()
    };
    let max = sized(16 << 20);
    soon(one.inform(&max, seconds(10.0))).await.unwrap();
    assert!(log.next().await == max);
    let over = sized((16 << 20) + 1);
    let error = one.inform(&over, seconds(10.0)).await.unwrap_err();
    assert!(matches!(error, StpInformError::TooLarge { bytes, limit } if bytes == limit + 1), "{error}");
    let error = soon(one.request(&max, seconds(10.0))).await.unwrap_err();
    assert!(matches!(error, StpRequestError::TooLarge { .. }), "{error}");
    assert!(one.is_connected());
    let answer = soon(one.request(&sized(1 << 20), seconds(10.0))).await.unwrap();
    assert!(answer[0].len() > 1 << 20);
}

#[tokio::test]
async fn a_failing_or_panicking_handler_fails_only_its_own_request() {
    let hub = hub().await;
    let (service, _) = hub.service("Service", &["fine", "fail", "panic"]).await;
    service.on_request(RequestHandler::new(|message: String| async move {
        match message {
            message if message.contains("panic") => panic!("of old age"),
            message if message.contains("fail") => Err("I would rather not"),
            message => Ok(message),
        }
    }));
    let (requester, _) = hub.service("Asker", &[]).await;
    let (other, _) = hub.service("Other", &[]).await;
    let request = async |service: &StpWsConnector, method| {
        service.request(&json!({"method": method}).to_string(), seconds(5.0)).await
    };
    let (panic, fail, fine) =
        tokio::join!(request(&requester, "panic"), request(&requester, "fail"), request(&other, "fine"));
    assert_eq!(panic.unwrap_err().to_string(), "the handler of this request panicked: of old age");
    assert_eq!(fail.unwrap_err().to_string(), "I would rather not");
    assert_eq!(fine.unwrap(), [r#"{"method":"fine"}"#]);
    assert!(service.is_connected());
}

#[tokio::test]
async fn a_connectors_setting_that_cannot_work_is_an_error_of_connect() {
    let connector = StpWsConnector::with_config("ws://127.0.0.1:9", StpWsConfig::default().max_requests(0));
    let error = connector.connect(StpService::new("a", ["A"]), seconds(1.0)).await.unwrap_err();
    assert!(error.to_string().contains("StpWsConfig::max_requests is 0"), "{error}");
}

#[tokio::test]
async fn an_invalid_service_is_refused_before_dialling() {
    let connector = StpWsConnector::new("ws://127.0.0.1:9");
    let error = connector.connect(StpService::new("", ["A"]), seconds(1.0)).await.unwrap_err();
    assert!(matches!(error, StpConnectError::BadService(_)), "{error}");
}

#[tokio::test]
async fn pending_requests_are_bounded() {
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().max_pending(2)).await;
    let mut mute = Peer::service(&hub, "Mute", &["A"]).await;
    let connector = StpWsConnector::with_config(
        &hub.url,
        StpWsConfig::default().max_requests(4).connector(WsConnectorConfig::default()),
    );
    connector.connect(StpService::new("Asker", [""; 0]).session_id("s"), seconds(5.0)).await.unwrap();
    let request = || {
        let connector = connector.clone();
        tokio::spawn(async move { connector.request(r#"{"method":"A"}"#, seconds(30.0)).await })
    };
    let (one, two) = (request(), request());
    for _ in 0..2 {
        mute.json().await;
    }
    let refused = soon(request()).await.unwrap().unwrap_err();
    assert!(
        refused.to_string().starts_with("every service that solves A is busy: 2 requests are pending"),
        "{refused}"
    );
    // The sender's own limit. Dropping a request's future frees capacity.
    one.abort();
    two.abort();
    let mut other = Peer::service(&hub, "Other", &["B"]).await;
    let requests: Vec<_> = (0..4)
        .map(|_| {
            let connector = connector.clone();
            tokio::spawn(async move { connector.request(r#"{"method":"B"}"#, seconds(30.0)).await })
        })
        .collect();
    // Two of them are within the hub's limit.
    for _ in 0..2 {
        other.json().await;
    }
    // The other two are refused, and the first two stay pending.
    let mut requests = FuturesUnordered::from_iter(requests);
    for _ in 0..2 {
        let refused = soon(requests.next()).await.unwrap().unwrap().unwrap_err();
        assert!(refused.to_string().contains("busy"), "{refused}");
    }
    assert!(tokio::time::timeout(Duration::from_millis(300), requests.next()).await.is_err());
}
