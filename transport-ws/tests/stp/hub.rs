//! The hub's routing.

use std::time::{Duration, Instant};

use connector_core::QueueLimits;
use connector_core::stp::{StpConnector, StpRequestError, StpService};
use serde_json::json;
use transport_ws::stp::{StpHub, StpHubConfig, StpListError, StpWsConnector, list};
use transport_ws::{WsConnectorConfig, WsServerConfig};

use crate::support::*;

#[tokio::test]
async fn an_inform_goes_to_all_solvers_except_the_sender() {
    let hub = hub().await;
    let (one, log_one) = hub.service("One", &["A", "B"]).await;
    let (two, log_two) = hub.service("Two", &["A"]).await;
    let (_three, log_three) = hub.service("Three", &["C"]).await;
    one.inform("{\"method\":\"A\",  \"n\":1}", seconds(30.0)).await.unwrap();
    assert_eq!(log_two.next().await, "{\"method\":\"A\",  \"n\":1}");
    two.inform(r#"{"method":"A","n":2}"#, seconds(30.0)).await.unwrap();
    two.inform(r#"{"method":"C"}"#, seconds(30.0)).await.unwrap();
    two.inform(r#"{"method":"unsolved"}"#, seconds(30.0)).await.unwrap();
    assert_eq!(log_one.next().await, r#"{"method":"A","n":2}"#);
    assert_eq!(log_three.next().await, r#"{"method":"C"}"#);
    assert_eq!((log_one.all().len(), log_two.all().len(), hub.handle.counters().informs), (0, 0, 4));
}

#[tokio::test]
async fn a_request_goes_to_the_first_that_can_answer() {
    let hub = hub().await;
    let (requester, _) = hub.service("Asker", &["A"]).await;
    let (first, _) = hub.service("First", &["A"]).await;
    let (_second, _) = hub.service("Second", &["A"]).await;
    let request = async || soon(requester.request(r#"{"method":"A"}"#, seconds(5.0))).await;
    assert_eq!(request().await.unwrap(), [r#"First: {"method":"A"}"#], "not the requester itself");
    first.disconnect(seconds(5.0)).await.unwrap();
    until(|| hub.handle.counters().services == 2).await;
    assert_eq!(request().await.unwrap(), [r#"Second: {"method":"A"}"#]);
}

#[tokio::test]
async fn a_request_without_a_solver_is_refused_at_once() {
    let hub = hub().await;
    let (requester, _) = hub.service("Asker", &["A"]).await;
    let start = Instant::now();
    for method in ["A", "B"] {
        let message = json!({"method": method}).to_string();
        let refused = requester.request(&message, seconds(30.0)).await.unwrap_err();
        let text = refused.to_string();
        assert!(
            matches!(refused, StpRequestError::Refused(_)) && text.contains("no service in session s solves"),
            "{text}"
        );
    }
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(hub.handle.counters().refusals, 2);
}

#[tokio::test]
async fn sessions_with_the_same_service_names_are_isolated() {
    let hub = hub().await;
    let mut services = Vec::new();
    for session in ["left", "right"] {
        let (tasks, log) = hub.service_in(session, "Tasks", &["A"]).await;
        let (map, _) = hub.service_in(session, "Map", &["B"]).await;
        services.push((session, tasks, log, map));
    }
    for (session, _, log, map) in &services {
        let message = json!({"method": "A", "from": session}).to_string();
        map.inform(&message, seconds(30.0)).await.unwrap();
        assert_eq!(log.next().await, message);
        assert_eq!(soon(map.request(&message, seconds(5.0))).await.unwrap(), [format!("Tasks: {message}")]);
    }
    let counters = hub.handle.counters();
    assert_eq!((counters.sessions, counters.services, counters.informs, counters.requests), (2, 4, 2, 2));
    assert!(services.iter().all(|(_, _, log, _)| log.all().is_empty()));
}

#[tokio::test]
async fn two_connections_may_register_the_same_name() {
    let hub = hub().await;
    let (mut one, mut two) = (Peer::dial(&hub.url).await, Peer::dial(&hub.url).await);
    for peer in [&mut one, &mut two] {
        peer.register(json!({"serviceName": "Twin", "solvables": ["A"], "sessionId": "s"})).await;
    }
    let (requester, _) = hub.service("Asker", &[]).await;
    requester.inform(r#"{"method":"A"}"#, seconds(30.0)).await.unwrap();
    assert_eq!(one.text().await, two.text().await);
    assert_eq!(hub.handle.listing().sessions[0].services.len(), 3);
}

#[tokio::test]
async fn a_session_id_comes_from_the_request_the_path_the_machine_or_is_random() {
    let hub = hub().await;
    let with = async |path: &str, more: serde_json::Value| {
        let mut peer = Peer::dial(&format!("{}{path}", hub.url)).await;
        let mut params = json!({"serviceName": "a", "solvables": []});
        params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        peer.register(params).await.as_str().unwrap().to_owned()
    };
    assert_eq!(with("/path", json!({"sessionId": "request", "machineId": "machine"})).await, "request");
    assert_eq!(with("/path", json!({"machineId": "machine"})).await, "path");
    assert_eq!(with("/", json!({"machineId": "machine", "sessionId": ""})).await, "machine");
    let (one, two) = (with("", json!({})).await, with("", json!({})).await);
    assert!(one != two && one.starts_with("session_"), "{one} {two}");
}

#[tokio::test]
async fn the_senders_timeout_is_enforced_and_a_late_answer_is_dropped() {
    let hub = hub().await;
    let (mut slow, request, mut requester) = Peer::pending_request(&hub, 7, 0.2).await;
    assert_eq!(request["params"]["timeout"], 0.2);
    let refused = requester.json().await;
    assert_eq!((&refused["params"]["cookie"], &refused["params"]["success"]), (&json!(7), &json!(false)));
    assert_eq!(refused["params"]["result"], "Slow did not answer within 0.2 s");
    slow.answer(&request["params"]["cookie"], true, json!("late")).await;
    requester.request(8, &json!({"method": "A"}), 5.0).await;
    let request = slow.json().await;
    slow.answer(&request["params"]["cookie"], true, json!({"in": ["time"]})).await;
    let answer = requester.json().await;
    assert_eq!(
        answer["params"],
        json!({"cookie": 8, "success": true, "result": {"in": ["time"]}}),
        "only this answer is forwarded"
    );
}

#[tokio::test]
async fn a_path_names_the_session_percent_encoded() {
    let hub = hub().await;
    for (path, session) in [
        ("blue team", "blue team"),
        ("blue%20team/", "blue team"),
        ("blue+team", "blue+team"),
        ("gr\u{fc}n", "gr\u{fc}n"),
        ("gr%C3%BCn", "gr\u{fc}n"),
        ("a%2Fb", "a/b"),
        ("100%25", "100%"),
        ("%ff", "%ff"),
        ("%zz", "%zz"),
    ] {
        let in_url = StpWsConnector::new(format!("{}/{path}", hub.url));
        let service = StpService::new("Map", ["MapMoved"]);
        assert_eq!(soon(in_url.connect(service, seconds(10.0))).await.unwrap(), session, "{path}");
        // Both services are in the same session.
        let (_named, log) = hub.service_in(session, "Tasks", &["TaskAdded"]).await;
        in_url.inform(r#"{"method":"TaskAdded","params":{}}"#, seconds(10.0)).await.unwrap();
        assert_eq!(log.next().await, r#"{"method":"TaskAdded","params":{}}"#);
    }
}

#[tokio::test]
async fn a_running_hub_can_be_listed() {
    let hub = hub().await;
    let (tasks, _) = hub.service_in("exercise", "Tasks", &["GetTasks", "$hub.list"]).await;
    let listing = list(&format!("{}/exercise", hub.url), WsConnectorConfig::default(), seconds(5.0)).await.unwrap();
    assert_eq!(listing, hub.handle.listing());
    let text = listing.to_string();
    assert!(text.starts_with("sessions: 1, services: 1\n"), "{text}");
    assert!(text.contains("session exercise\n  Tasks_") && text.contains(" (rust): GetTasks, $hub.list\n"), "{text}");
    assert_eq!(hub.handle.counters().requests, 0, "a listing does not count as a request");
    drop(tasks);
    until(|| hub.handle.counters().sessions == 0).await;
    let unreachable = list("ws://127.0.0.1:9", WsConnectorConfig::default(), seconds(5.0)).await.unwrap_err();
    assert!(matches!(unreachable, StpListError::Connect(_)), "{unreachable}");
}

#[tokio::test]
async fn a_hub_accepts_local_clients_only_and_may_require_a_token() {
    StpHub::bind("0.0.0.0:0", StpHubConfig::default()).await.unwrap_err();
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().server(WsServerConfig::default().token("t"))).await;
    list(&hub.url, WsConnectorConfig::default(), seconds(5.0)).await.unwrap_err();
    list(&hub.url, WsConnectorConfig::default().token("t"), seconds(5.0)).await.unwrap();
}

#[tokio::test]
async fn a_stopped_hub_closes_gracefully() {
    let hub = StpHub::bind("127.0.0.1:0", StpHubConfig::default()).await.unwrap();
    let (url, handle) = (hub.url(), hub.handle());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(hub.serve_until(async { drop(stopped.await) }));
    let mut peer = Peer::dial(&url).await;
    peer.register(json!({"serviceName": "a", "solvables": ["A"], "sessionId": "s"})).await;
    let connector = StpWsConnector::new(&url);
    let log = listen(&connector);
    soon(connector.connect(StpService::new("b", ["A"]).session_id("s"), seconds(5.0))).await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(peer.text().await, None);
    soon(serving).await.unwrap();
    assert_eq!(handle.counters().services, 0);
    let sent = log.next().await;
    assert!(sent.contains("closed by the other end with code 1000"), "{sent}");
}

#[tokio::test]
async fn a_slow_service_loses_its_link_and_does_not_delay_others() {
    let limits = QueueLimits::default().stall_timeout(Duration::from_millis(300));
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().queue(limits)).await;
    let mut slow = Peer::service(&hub, "Slow", &["A"]).await;
    let (_quick, log) = hub.service("Quick", &["A"]).await;
    let (sender, _) = hub.service("Teller", &[]).await;
    let message = json!({"method": "A", "params": "x".repeat(8 << 10)}).to_string();
    let mut sent = 0;
    // More than the kernel's buffers hold, so that the slow service's queue fills up. The quick service keeps pace.
    while hub.handle.counters().slow_closes == 0 {
        for _ in 0..128 {
            soon(sender.inform(&message, seconds(5.0))).await.unwrap();
        }
        sent += 128;
        until(|| log.len() == sent).await;
        assert!(sent < 100_000, "the slow service's link was never closed");
    }
    let counters = hub.handle.counters();
    assert_eq!((counters.services, counters.slow_closes), (2, 1));
    soon(async { while slow.text().await.is_some() {} }).await;
}
