//! What the hub routes where.

use std::time::{Duration, Instant};

use connector_core::QueueLimits;
use connector_core::stp::{StpConnector, StpRequestError, StpService};
use serde_json::json;
use transport_ws::stp::{StpHub, StpHubConfig, StpListError, StpWsConnector, list};
use transport_ws::{WsConnectorConfig, WsServerConfig};

use crate::support::*;

#[tokio::test]
async fn an_inform_goes_to_all_who_solve_it_but_not_back() {
    let hub = hub().await;
    let (one, heard_one) = hub.service("One", &["A", "B"]).await;
    let (two, heard_two) = hub.service("Two", &["A"]).await;
    let (_three, heard_three) = hub.service("Three", &["C"]).await;
    one.inform("{\"method\":\"A\",  \"n\":1}", seconds(30.0)).await.unwrap();
    assert_eq!(heard_two.next().await, "{\"method\":\"A\",  \"n\":1}");
    two.inform(r#"{"method":"A","n":2}"#, seconds(30.0)).await.unwrap();
    two.inform(r#"{"method":"C"}"#, seconds(30.0)).await.unwrap();
    two.inform(r#"{"method":"nobody's"}"#, seconds(30.0)).await.unwrap();
    assert_eq!(heard_one.next().await, r#"{"method":"A","n":2}"#);
    assert_eq!(heard_three.next().await, r#"{"method":"C"}"#);
    assert_eq!((heard_one.all().len(), heard_two.all().len(), hub.handle.counters().informs), (0, 0, 4));
}

#[tokio::test]
async fn a_request_goes_to_the_first_that_can_answer() {
    let hub = hub().await;
    let (asker, _) = hub.service("Asker", &["A"]).await;
    let (first, _) = hub.service("First", &["A"]).await;
    let (_second, _) = hub.service("Second", &["A"]).await;
    let ask = async || soon(asker.request(r#"{"method":"A"}"#, seconds(5.0))).await;
    assert_eq!(ask().await.unwrap(), [r#"First: {"method":"A"}"#], "not the asker itself");
    first.disconnect(seconds(5.0)).await.unwrap();
    until(|| hub.handle.counters().services == 2).await;
    assert_eq!(ask().await.unwrap(), [r#"Second: {"method":"A"}"#]);
}

#[tokio::test]
async fn a_request_nobody_can_answer_is_refused_at_once() {
    let hub = hub().await;
    let (asker, _) = hub.service("Asker", &["A"]).await;
    let start = Instant::now();
    for method in ["A", "B"] {
        let message = json!({"method": method}).to_string();
        let refused = asker.request(&message, seconds(30.0)).await.unwrap_err();
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
async fn two_sessions_with_the_same_names_are_worlds_of_their_own() {
    let hub = hub().await;
    let mut informed = Vec::new();
    for session in ["left", "right"] {
        let (tasks, heard) = hub.service_in(session, "Tasks", &["A"]).await;
        let (map, _) = hub.service_in(session, "Map", &["B"]).await;
        informed.push((session, tasks, heard, map));
    }
    for (session, _, heard, map) in &informed {
        let message = json!({"method": "A", "from": session}).to_string();
        map.inform(&message, seconds(30.0)).await.unwrap();
        assert_eq!(heard.next().await, message);
        assert_eq!(soon(map.request(&message, seconds(5.0))).await.unwrap(), [format!("Tasks: {message}")]);
    }
    let counters = hub.handle.counters();
    assert_eq!((counters.sessions, counters.services, counters.informs, counters.requests), (2, 4, 2, 2));
    assert!(informed.iter().all(|(_, _, heard, _)| heard.all().is_empty()));
}

#[tokio::test]
async fn two_connections_may_carry_the_same_name() {
    let hub = hub().await;
    let (mut one, mut two) = (Peer::dial(&hub.url).await, Peer::dial(&hub.url).await);
    for peer in [&mut one, &mut two] {
        peer.register(json!({"serviceName": "Twin", "solvables": ["A"], "sessionId": "s"})).await;
    }
    let (asker, _) = hub.service("Asker", &[]).await;
    asker.inform(r#"{"method":"A"}"#, seconds(30.0)).await.unwrap();
    assert_eq!(one.text().await, two.text().await);
    assert_eq!(hub.handle.listing().sessions[0].services.len(), 3);
}

#[tokio::test]
async fn a_sessions_id_is_the_requests_then_the_paths_then_the_machines_then_a_random_one() {
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
async fn the_askers_timeout_holds_and_a_late_answer_is_dropped() {
    let hub = hub().await;
    let mut slow = Peer::dial(&hub.url).await;
    slow.register(json!({"serviceName": "Slow", "solvables": ["A"], "sessionId": "s"})).await;
    let mut asker = Peer::dial(&hub.url).await;
    asker.register(json!({"serviceName": "Asker", "solvables": [], "sessionId": "s"})).await;
    asker.ask(7, &json!({"method": "A"}), 0.2).await;
    let asked = slow.json().await;
    assert_eq!(asked["params"]["timeout"], 0.2);
    let refused = asker.json().await;
    assert_eq!((&refused["params"]["cookie"], &refused["params"]["success"]), (&json!(7), &json!(false)));
    assert_eq!(refused["params"]["result"], "Slow did not answer within 0.2 s");
    slow.answer(&asked["params"]["cookie"], true, json!("late")).await;
    asker.ask(8, &json!({"method": "A"}), 5.0).await;
    let asked = slow.json().await;
    slow.answer(&asked["params"]["cookie"], true, json!({"in": ["time"]})).await;
    let answer = asker.json().await;
    assert_eq!(
        answer["params"],
        json!({"cookie": 8, "success": true, "result": {"in": ["time"]}}),
        "and only this one"
    );
}

#[tokio::test]
async fn a_session_in_a_url_is_the_one_of_that_name() {
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
        // Both are in one world.
        let (_named, notes) = hub.service_in(session, "Tasks", &["TaskAdded"]).await;
        in_url.inform(r#"{"method":"TaskAdded","params":{}}"#, seconds(10.0)).await.unwrap();
        assert_eq!(notes.next().await, r#"{"method":"TaskAdded","params":{}}"#);
    }
}

#[tokio::test]
async fn a_running_hub_lists_itself() {
    let hub = hub().await;
    let (tasks, _) = hub.service_in("exercise", "Tasks", &["GetTasks", "$hub.list"]).await;
    let listing = list(&hub.url, WsConnectorConfig::default(), seconds(5.0)).await.unwrap();
    assert_eq!(listing, hub.handle.listing());
    let text = listing.to_string();
    assert!(text.starts_with("sessions: 1, services: 1\n"), "{text}");
    assert!(text.contains("session exercise\n  Tasks_") && text.contains(" (rust): GetTasks, $hub.list\n"), "{text}");
    assert_eq!(hub.handle.counters().requests, 0, "a listing is no request");
    drop(tasks);
    until(|| hub.handle.counters().sessions == 0).await;
    let nobody = list("ws://127.0.0.1:9", WsConnectorConfig::default(), seconds(5.0)).await.unwrap_err();
    assert!(matches!(nobody, StpListError::Connect(_)), "{nobody}");
}

#[tokio::test]
async fn a_hub_is_its_own_machines_and_may_ask_for_a_token() {
    StpHub::bind("0.0.0.0:0", StpHubConfig::default()).await.unwrap_err();
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().server(WsServerConfig::default().token("t"))).await;
    list(&hub.url, WsConnectorConfig::default(), seconds(5.0)).await.unwrap_err();
    list(&hub.url, WsConnectorConfig::default().token("t"), seconds(5.0)).await.unwrap();
}

#[tokio::test]
async fn a_hub_that_is_stopped_closes_in_order() {
    let hub = StpHub::bind("127.0.0.1:0", StpHubConfig::default()).await.unwrap();
    let (url, handle) = (hub.url(), hub.handle());
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(hub.serve_until(async { drop(stopped.await) }));
    let mut peer = Peer::dial(&url).await;
    peer.register(json!({"serviceName": "a", "solvables": ["A"], "sessionId": "s"})).await;
    let connector = StpWsConnector::new(&url);
    let notes = listen(&connector);
    soon(connector.connect(StpService::new("b", ["A"]).session_id("s"), seconds(5.0))).await.unwrap();
    stop.send(()).unwrap();
    assert_eq!(peer.text().await, None);
    soon(serving).await.unwrap();
    assert_eq!(handle.counters().services, 0);
    let told = notes.next().await;
    assert!(told.contains("closed by the other end with code 1000"), "{told}");
}

#[tokio::test]
async fn a_slow_service_loses_its_link_and_holds_up_nobody() {
    let limits = QueueLimits::default().stall_timeout(Duration::from_millis(300));
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().queue(limits)).await;
    let mut slow = Peer::dial(&hub.url).await;
    slow.register(json!({"serviceName": "Slow", "solvables": ["A"], "sessionId": "s"})).await;
    let (_quick, heard) = hub.service("Quick", &["A"]).await;
    let (teller, _) = hub.service("Teller", &[]).await;
    let message = json!({"method": "A", "params": "x".repeat(8 << 10)}).to_string();
    let mut told = 0;
    // More than the kernel's buffers hold, so that the slow one's queue fills up; the quick one keeps pace all along.
    while hub.handle.counters().slow_closes == 0 {
        for _ in 0..128 {
            soon(teller.inform(&message, seconds(5.0))).await.unwrap();
        }
        told += 128;
        until(|| heard.len() == told).await;
        assert!(told < 100_000, "the slow one was never closed");
    }
    let counters = hub.handle.counters();
    assert_eq!((counters.services, counters.slow_closes), (2, 1));
    soon(async { while slow.text().await.is_some() {} }).await;
}
