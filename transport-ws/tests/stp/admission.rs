//! Connections that prove nothing, and services that take too much.

use std::time::Duration;

use connector_core::stp::{StpConnector, StpService};
use serde_json::json;
use transport_ws::stp::{StpHubConfig, StpListError, StpWsConnector, list};
use transport_ws::{WsConfig, WsConnectorConfig, WsServerConfig};

use crate::support::*;

#[tokio::test]
async fn a_connection_that_does_not_register_is_closed() {
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().register_timeout(Duration::from_millis(50))).await;
    let mut idle = Peer::dial(&hub.url).await;
    assert_eq!(idle.text().await, None);
    let (service, _) = hub.service("Service", &["A"]).await;
    let (asker, _) = hub.service("Asker", &[]).await;
    assert_eq!(request_a(&asker).await.unwrap().unwrap().len(), 1);
    drop(service);
}

#[tokio::test]
async fn idle_connections_do_not_keep_services_out() {
    let server = WsServerConfig::default().max_connections(8).max_handshakes(8);
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().server(server)).await;
    let mut services = vec![hub.service("First", &["A"]).await];
    let mut idle = Vec::new();
    for _ in 0..3 {
        while let Ok((peer, _)) = tokio_tungstenite::connect_async(&hub.url).await {
            idle.push(peer);
        }
        let (connector, service) = (StpWsConnector::new(&hub.url), StpService::new("Next", ["B"]).session_id("s"));
        soon(async { while connector.connect(service.clone(), seconds(1.0)).await.is_err() {} }).await;
        let log = listen(&connector);
        services.push((connector, log));
    }
    assert_eq!(hub.handle.counters().services, 4, "registered services keep their links");
}

#[tokio::test]
async fn before_it_registers_a_connection_can_send_only_little() {
    let hub = hub().await;
    let large = json!({"method": "A", "params": "x".repeat(100_000)}).to_string();
    let mut peer = Peer::dial(&hub.url).await;
    peer.send(large.clone()).await;
    assert_eq!(peer.text().await, None);
    let mut service = Peer::service(&hub, "Service", &["A"]).await;
    // A service that does not wait for an answer.
    let mut sender = Peer::dial(&hub.url).await;
    let params = json!({"serviceName": "Sender", "language": "javascript", "solvables": "B", "sessionId": "s"});
    sender.send(json!({"method": "Register", "params": params}).to_string()).await;
    sender.send(large.clone()).await;
    assert_eq!(service.text().await, Some(large));
}

#[tokio::test]
async fn without_a_token_a_connection_lists_only_the_session_that_it_names() {
    let hub = hub().await;
    let _one = hub.service_in("one", "One", &["A"]).await;
    let _two = hub.service_in("two", "Two", &["A"]).await;
    let listed =
        async |path: &str| list(&format!("{}{path}", hub.url), WsConnectorConfig::default(), seconds(5.0)).await;
    match listed("").await {
        Err(StpListError::Refused(why)) => assert!(why.contains("name the session in the URL's path"), "{why}"),
        other => panic!("{other:?}"),
    }
    let ids: Vec<_> = listed("/two").await.unwrap().sessions.into_iter().map(|session| session.id).collect();
    assert_eq!(ids, ["two"]);
    assert!(listed("/three").await.unwrap().sessions.is_empty());

    let config = StpHubConfig::default().server(WsServerConfig::default().token("t"));
    let hub = hub_with("127.0.0.1:0", config).await;
    let mut peers = Vec::new();
    for session in ["one", "two"] {
        let config = transport_ws::stp::StpWsConfig::default().connector(WsConnectorConfig::default().token("t"));
        let connector = StpWsConnector::with_config(&hub.url, config);
        let service = StpService::new("Service", ["A"]).session_id(session);
        soon(connector.connect(service, seconds(5.0))).await.unwrap();
        peers.push(connector);
    }
    let all = list(&hub.url, WsConnectorConfig::default().token("t"), seconds(5.0)).await.unwrap();
    assert_eq!(all, hub.handle.listing());
    assert_eq!(all.sessions.len(), 2);
}

/// Neither costs work that grows with the hub: the size is known before the listing is made.
#[tokio::test]
async fn listings_are_limited_in_rate_and_in_size() {
    let config = StpHubConfig::default();
    let server = config.server.clone().ws(WsConfig::default().max_sent_message(1500));
    let hub = hub_with("127.0.0.1:0", config.server(server)).await;
    let listed = async |peer: &mut Peer| {
        peer.request(1, &json!({"method": "$hub.list"}), 9.0).await;
        peer.json().await["params"].take()
    };
    let mut peer = Peer::service(&hub, "Service", &["A"]).await;
    assert_eq!(listed(&mut peer).await["success"], true);
    for _ in 0..10 {
        let refused = listed(&mut peer).await;
        let text = refused["result"].as_str().unwrap();
        assert!(refused["success"] == false && text.contains("just listed the hub: wait a second"), "{text}");
    }
    let mut peer = Peer::service(&hub, "Large", &["B".repeat(800).as_str(), "C".repeat(800).as_str()]).await;
    let refused = listed(&mut peer).await;
    let text = refused["result"].as_str().unwrap();
    assert!(refused["success"] == false && text.contains("too long for one message"), "{text}");
}

#[tokio::test]
async fn one_connections_requests_leave_capacity_for_others() {
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().max_pending(16)).await;
    let mut slow = Peer::service(&hub, "Slow", &["A"]).await;
    let mut greedy = Peer::service(&hub, "Greedy", &[]).await;
    for cookie in 0..100 {
        greedy.request(cookie, &json!({"method": "A"}), 30.0).await;
    }
    let refused = greedy.json().await;
    assert_eq!(refused["params"]["success"], false);
    let text = refused["params"]["result"].as_str().unwrap();
    assert!(text.contains("busy: 9 requests are pending, 9 of them of this connection"), "{text}");
    for _ in 0..9 {
        slow.json().await;
    }
    let mut other = Peer::service(&hub, "Other", &[]).await;
    other.request(7, &json!({"method": "A"}), 30.0).await;
    let request = slow.json().await;
    slow.answer(&request["params"]["cookie"], true, json!("done")).await;
    assert_eq!(other.json().await["params"], json!({"cookie": 7, "success": true, "result": "done"}));
}

/// The requests of a connection are forgotten with it, and free capacity for others.
#[tokio::test]
async fn a_connection_that_leaves_frees_its_capacity() {
    let hub = hub_with("127.0.0.1:0", StpHubConfig::default().max_pending(2)).await;
    let mut slow = Peer::service(&hub, "Slow", &["A"]).await;
    for _ in 0..3 {
        let mut greedy = Peer::service(&hub, "Greedy", &[]).await;
        for cookie in 0..2 {
            greedy.request(cookie, &json!({"method": "A"}), 30.0).await;
            slow.json().await;
        }
        drop(greedy);
        until(|| hub.handle.counters().services == 1).await;
    }
}
