//! The bytes that the hub holds for its services and sessions, and what happens beyond them.

use std::collections::HashSet;
use std::time::Duration;

use connector_core::QueueLimits;
use connector_core::stp::StpConnector;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use transport_ws::WsConfig;
use transport_ws::stp::{StpHub, StpHubConfig};

use crate::support::*;

/// Keeps the link of a client that does not read, for longer than any test.
fn patient(queue: QueueLimits) -> StpHubConfig {
    let ws = WsConfig::default().ping_interval(Duration::MAX);
    let config = StpHubConfig::default().queue(queue.stall_timeout(Duration::from_secs(3600)));
    let server = config.server.clone().ws(ws);
    config.server(server)
}

/// More than the kernel's buffers hold between the hub and a service that does not read.
const FLOOD: usize = 64 << 20;

#[tokio::test]
async fn a_session_holds_a_limited_number_of_bytes() {
    let config = patient(QueueLimits::default()).session_memory_limit(8 << 20);
    let hub = hub_with("127.0.0.1:0", config).await;
    let deaf = Peer::service(&hub, "Deaf", &["A"]).await;
    let mut greedy = Peer::service(&hub, "Greedy", &[]).await;
    let large = "x".repeat(1 << 20);
    for cookie in 0..(FLOOD >> 20) as i64 {
        greedy.request(cookie, &json!({"method": "A", "params": large}), 3600.0).await;
    }
    let refused = greedy.json().await;
    assert_eq!(refused["params"]["success"], false);
    let text = refused["params"]["result"].as_str().unwrap();
    assert!(text.contains("of at most 8388608 bytes for the session"), "{text}");
    assert!(text.contains("StpHubConfig::session_memory_limit"), "{text}");

    // Another connection, and another session, are not affected.
    let _other = hub.service("Other", &["B"]).await;
    let (asker, _) = hub.service("Asker", &[]).await;
    let message = json!({"method": "B", "params": "x".repeat(100_000)}).to_string();
    assert_eq!(soon(asker.request(&message, seconds(9.0))).await.unwrap().len(), 1);
    let (_solver, _) = hub.service_in("t", "Solver", &["A"]).await;
    let (asker, _) = hub.service_in("t", "Asker", &[]).await;
    assert_eq!(soon(asker.request(r#"{"method":"A"}"#, seconds(9.0))).await.unwrap().len(), 1);

    // What is held for a service is released with it.
    drop(deaf);
    until(|| hub.handle.listing().sessions[0].services.iter().all(|service| service.name != "Deaf")).await;
    let mut solver = Peer::service(&hub, "Solver", &["A"]).await;
    greedy.request(1000, &json!({"method": "A", "params": large}), 3600.0).await;
    assert_eq!(solver.json().await["method"], "Request");
}

/// An inform's text exists once, however many services have not read it yet.
#[tokio::test]
async fn a_text_for_many_services_counts_once() {
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().session_memory_limit(8 << 20)).await;
    let mut services = Vec::new();
    for _ in 0..20 {
        services.push(Peer::service(&hub, "Service", &["A"]).await);
    }
    let (sender, _) = hub.service("Sender", &[]).await;
    let inform = json!({"method": "A", "params": "x".repeat(1 << 20)}).to_string();
    soon(sender.inform(&inform, seconds(9.0))).await.unwrap();
    for service in &mut services {
        assert_eq!(service.text().await.unwrap().len(), inform.len());
    }
}

#[tokio::test]
async fn a_registration_beyond_the_sessions_memory_is_refused() {
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().session_memory_limit(1 << 20)).await;
    let (first, _) = hub.service("First", &["A"]).await;
    let mut large = Peer::service(&hub, "Large", &["B"]).await;
    let solvables: Vec<_> = (0..1000).map(|n| format!("{n:01000}")).collect();
    let params = json!({"serviceName": "Large", "solvables": solvables, "sessionId": "s"});
    large.request(1, &json!({"method": "Register", "params": params}), 3600.0).await;
    let refused = large.json().await;
    assert_eq!(refused["params"]["success"], false, "{refused}");
    assert!(refused["params"]["result"].as_str().unwrap().contains("session_memory_limit"), "{refused}");
    // Its previous registration stays, and one in another session leaves nothing behind.
    first.inform(r#"{"method":"B"}"#, seconds(9.0)).await.unwrap();
    assert_eq!(large.text().await.unwrap(), r#"{"method":"B"}"#);
    let counters = hub.handle.counters();
    assert_eq!((counters.services, counters.sessions), (2, 1));
}

#[tokio::test]
async fn the_number_of_sessions_is_limited() {
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().max_sessions(2)).await;
    let _first = hub.service_in("a", "First", &["A"]).await;
    let mut second = Peer::service(&hub, "Second", &["B"]).await;
    let register = |session| json!({"method": "Register", "params": {"serviceName": "X", "sessionId": session}});
    second.request(1, &register("b"), 3600.0).await;
    let refused = second.json().await;
    assert_eq!(refused["params"]["success"], false, "{refused}");
    let text = refused["params"]["result"].as_str().unwrap();
    assert!(text.starts_with("the hub has 2 sessions, and StpHubConfig::max_sessions allows no more"), "{text}");
    // Its previous registration stays, and it may move to a session that exists, which frees its own.
    assert_eq!(hub.handle.counters().sessions, 2);
    second.request(2, &register("a"), 3600.0).await;
    assert_eq!(second.json().await["params"]["success"], true);
    assert_eq!(hub.handle.counters().sessions, 1);
    let _third = hub.service_in("c", "Third", &[]).await;
    assert_eq!(hub.handle.counters().sessions, 2);
}

/// A requester that reads late gets an answer or a refusal for each of its requests.
#[tokio::test]
async fn an_answer_that_does_not_fit_is_replaced_by_a_refusal() {
    const REQUESTS: i64 = 96;
    let hub = hub_with("127.0.0.1:0", patient(QueueLimits::default().max_bytes(4 << 20))).await;
    let mut solver = Peer::service(&hub, "Solver", &["A"]).await;
    let mut asker = Peer::service(&hub, "Asker", &[]).await;
    for cookie in 0..REQUESTS {
        asker.request(cookie, &json!({"method": "A"}), 3600.0).await;
    }
    for _ in 0..REQUESTS {
        let request = solver.json().await;
        solver.answer(&request["params"]["cookie"], true, json!("x".repeat(FLOOD / REQUESTS as usize))).await;
    }
    let mut refused = 0;
    let mut answered = HashSet::new();
    for _ in 0..REQUESTS {
        let answer = asker.json().await;
        assert!(answered.insert(answer["params"]["cookie"].as_i64().unwrap()));
        if answer["params"]["success"] == false {
            assert!(answer["params"]["result"].as_str().unwrap().contains("read sooner"), "{answer}");
            refused += 1;
        }
    }
    assert!((1..REQUESTS).contains(&refused), "{refused}");
}

/// The hub reads nothing more from a client that does not read the answers to its own requests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_waits_while_it_does_not_read_its_answers() {
    const REQUESTS: usize = 200_000;
    let hub = hub_with("127.0.0.1:0", patient(QueueLimits::default().max_messages(100))).await;
    let (mut sending, mut reading) = Peer::service(&hub, "Asker", &[]).await.0.split();
    let params = json!({"jsonRequest": json!({"method": "none"}).to_string(), "cookie": 7, "timeout": 30});
    let request = json!({"method": "Request", "params": params}).to_string();
    let flood = tokio::spawn(async move {
        for _ in 0..REQUESTS {
            sending.feed(Message::text(request.clone())).await.unwrap();
        }
        sending.flush().await.unwrap();
        sending
    });
    // Until the hub reads nothing more.
    let refusals = || hub.handle.counters().refusals;
    loop {
        let before = refusals();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if before > 0 && refusals() == before {
            break;
        }
    }
    assert!(refusals() < REQUESTS as u64, "it waits");
    for _ in 0..REQUESTS {
        let Some(Ok(Message::Text(text))) = soon(reading.next()).await else { panic!("the link has ended") };
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(answer["params"]["success"], false);
    }
    drop(soon(flood).await.unwrap());
}

/// The router handles large sessions in parts, without a visible difference.
#[tokio::test]
async fn a_session_may_have_many_services_solvables_and_requests() {
    const MANY: usize = 150;
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().max_pending(2 * MANY)).await;
    let solvables: Vec<_> = (0..MANY).map(|n| format!("A{n}")).collect();
    let names: Vec<_> = solvables.iter().map(String::as_str).collect();
    let mut services = Vec::new();
    for _ in 0..MANY {
        services.push(Peer::service(&hub, "Service", &names).await);
    }
    assert_eq!(hub.handle.listing().sessions[0].services.len(), MANY);
    let (sender, _) = hub.service("Sender", &[]).await;
    for method in ["A0", "A149"] {
        let inform = json!({ "method": method }).to_string();
        sender.inform(&inform, seconds(9.0)).await.unwrap();
        for service in &mut services {
            assert_eq!(service.text().await.unwrap(), inform);
        }
    }
    // All but the last one leave the method.
    let (last, others) = services.split_last_mut().unwrap();
    for service in &mut *others {
        let params = json!({"serviceName": "Service", "solvables": ["B"], "sessionId": "s"});
        service.register(params).await;
    }
    let mut asker = Peer::service(&hub, "Asker", &[]).await;
    for cookie in 0..MANY as i64 {
        asker.request(cookie, &json!({"method": "A7"}), 3600.0).await;
        assert_eq!(last.json().await["method"], "Request");
    }
    let params = json!({"serviceName": "Service", "solvables": [], "sessionId": "elsewhere"});
    last.register(params).await;
    for cookie in 0..MANY as i64 {
        let refused = asker.json().await;
        assert_eq!(refused["params"]["cookie"], cookie);
        assert_eq!(refused["params"]["result"], "Service left the session before it answered");
    }
    asker.request(1, &json!({"method": "A7"}), 3600.0).await;
    assert_eq!(asker.json().await["params"]["result"], "no service in session s solves A7");
}

/// The search for a service with capacity passes over many busy ones.
#[tokio::test]
async fn a_request_reaches_a_service_behind_many_busy_ones() {
    const MANY: i64 = 150;
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().max_pending(1)).await;
    let mut services = Vec::new();
    for _ in 0..MANY {
        services.push(Peer::service(&hub, "Service", &["A"]).await);
    }
    let mut asker = Peer::service(&hub, "Asker", &[]).await;
    for cookie in 0..=MANY {
        asker.request(cookie, &json!({"method": "A"}), 3600.0).await;
    }
    for service in &mut services {
        assert_eq!(service.json().await["method"], "Request");
    }
    let refused = asker.json().await;
    assert_eq!(refused["params"]["cookie"], MANY);
    let text = refused["params"]["result"].as_str().unwrap();
    assert!(text.starts_with("every service that solves A is busy: 1 requests are pending"), "{text}");
}

#[tokio::test]
async fn a_hubs_setting_that_cannot_work_is_an_error_of_bind() {
    let good = StpHubConfig::default;
    for (config, error) in [
        (good().max_sessions(0), "StpHubConfig::max_sessions is 0"),
        (good().max_pending(0), "StpHubConfig::max_pending is 0"),
        (good().session_memory_limit(0), "StpHubConfig::session_memory_limit is 0"),
        (good().queue(QueueLimits::default().max_bytes(0)), "StpHubConfig::queue.max_bytes is 0"),
        (good().register_timeout(Duration::ZERO), "StpHubConfig::register_timeout is 0ns"),
    ] {
        let refused = StpHub::bind("127.0.0.1:0", config).await.unwrap_err().to_string();
        assert!(refused.starts_with(error), "{refused}");
    }
}
