//! Lost links and restarted hubs.

use std::time::{Duration, Instant};

use connector_core::LinkEnd;
use connector_core::stp::{
    StpConnectError, StpConnector, StpDisconnectError, StpInformError, StpRequestError, StpService,
};
use futures_util::StreamExt;
use serde_json::json;
use tokio::net::TcpListener;
use transport_ws::stp::{StpHubConfig, StpWsConfig, StpWsConnector};

use crate::support::*;

/// Well below the default timeouts, and long enough for a busy machine.
const AT_ONCE: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_lost_connection_is_restored_with_its_name_and_session() {
    let hub1 = hub().await;
    let addr = hub1.addr();
    let connector = StpWsConnector::new(&hub1.url);
    let log = listen(&connector);
    let session = soon(connector.connect(StpService::new("Tasks", ["A"]), seconds(5.0))).await.unwrap();
    let name = connector.name();
    hub1.kill().await;
    until(|| !connector.is_connected()).await;
    let error = log.next().await;
    assert!(error.starts_with("!the connection to STP was lost ("), "{error}");
    assert!(matches!(connector.inform("{}", seconds(1.0)).await, Err(StpInformError::NotConnected)));
    assert!(matches!(connector.request("{}", seconds(1.0)).await, Err(StpRequestError::NotConnected)));
    let error = log.next().await;
    assert!(error.starts_with("!cannot connect to STP at ws://127.0.0.1:"), "{error}");
    let hub2 = hub_with(&addr, StpHubConfig::default()).await;
    until(|| connector.is_connected()).await;
    assert_eq!(connector.name(), name);
    assert_eq!(connector.session_id(), Some(session.clone()), "the same session, although the hub had generated it");
    let listing = hub2.handle.listing();
    assert_eq!((&*listing.sessions[0].id, &*listing.sessions[0].services[0].name), (&*session, &*name));
    assert_eq!(listing.sessions[0].services[0].solvables, ["A"]);
    assert!(log.all().is_empty(), "reported once: {:?}", log.all());
}

/// All services reconnect within the maximum delay (1 s) plus the time for a dial, and none registers twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_restarts_under_50_services() {
    let hub1 = hub().await;
    let addr = hub1.addr();
    let mut services = Vec::new();
    for n in 0..50 {
        services.push(hub1.service_in(&format!("s{}", n % 5), &format!("Service{n}"), &["A"]).await);
    }
    for _ in 0..3 {
        assert_eq!(hub1.handle.counters().services, 50);
    }
    hub1.kill().await;
    for (service, log) in &services {
        until(|| !service.is_connected()).await;
        assert!(log.next().await.starts_with("!the connection to STP was lost"));
    }
    // Long enough for the delays to reach their maximum.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let hub2 = hub_with(&addr, StpHubConfig::default()).await;
    let start = Instant::now();
    until(|| services.iter().all(|(service, _)| service.is_connected())).await;
    let took = start.elapsed();
    // The maximum delay is one second; the rest is tolerance for a busy machine.
    assert!(took < Duration::from_secs(10), "{took:?}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let listing = hub2.handle.listing();
    let mut names: Vec<_> = listing.sessions.iter().flat_map(|s| &s.services).map(|service| &service.name).collect();
    names.sort();
    names.dedup();
    assert_eq!((names.len(), listing.counters.services, listing.counters.sessions), (50, 50, 5));
    let (one, two) = (&services[0].0, &services[5].0);
    let answer = soon(one.request(r#"{"method":"A"}"#, seconds(5.0))).await.unwrap();
    assert!(answer[0].starts_with("Service"), "{answer:?}");
    assert!(two.is_connected());
}

#[tokio::test]
async fn a_disconnected_service_does_not_reconnect() {
    let hub = hub().await;
    let (service, log) = hub.service("Service", &["A"]).await;
    let (_other, other_log) = hub.service("Other", &["B"]).await;
    for n in 0..100 {
        service.inform(&json!({"method": "B", "n": n}).to_string(), seconds(30.0)).await.unwrap();
    }
    soon(service.disconnect(seconds(5.0))).await.unwrap();
    until(|| other_log.all().len() == 100).await;
    assert!(!service.is_connected() && service.session_id().is_none());
    until(|| hub.handle.counters().services == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((hub.handle.counters().services, log.all().len()), (1, 0), "neither reconnected nor an error");
    soon(service.disconnect(seconds(5.0))).await.unwrap();
    // It can connect again.
    soon(service.connect(StpService::new("Service", ["A"]).session_id("s"), seconds(5.0))).await.unwrap();
    assert_eq!(hub.handle.counters().services, 2);
    // A second connect replaces the first.
    soon(service.connect(StpService::new("Again", ["A"]).session_id("t"), seconds(5.0))).await.unwrap();
    until(|| hub.handle.counters().services == 2).await;
    assert_eq!((service.base_name(), service.session_id()), ("Again".to_owned(), Some("t".to_owned())));
}

#[tokio::test]
async fn a_disconnect_while_the_hub_is_down_stops_reconnecting() {
    let hub1 = hub().await;
    let addr = hub1.addr();
    let (service, _) = hub1.service("Service", &["A"]).await;
    hub1.kill().await;
    until(|| !service.is_connected()).await;
    soon(service.disconnect(seconds(5.0))).await.unwrap();
    let hub2 = hub_with(&addr, StpHubConfig::default()).await;
    tokio::time::sleep(Duration::from_millis(1300)).await;
    assert_eq!(hub2.handle.counters().services, 0);
}

#[tokio::test]
async fn dropping_the_connector_ends_the_connection() {
    let hub = hub().await;
    let (service, _) = hub.service("Service", &["A"]).await;
    let clone = service.clone();
    drop(service);
    assert!(clone.is_connected());
    drop(clone);
    until(|| hub.handle.counters().services == 0).await;
}

#[tokio::test]
async fn a_pending_request_ends_with_the_link() {
    let hub = hub().await;
    let (requester, _) = hub.service("Asker", &[]).await;
    let mut mute = Peer::service(&hub, "Mute", &["A"]).await;
    let request = request_a(&requester);
    mute.json().await;
    hub.kill().await;
    let lost = soon(request).await.unwrap().unwrap_err();
    assert!(matches!(&lost, StpRequestError::Lost(end) if matches!(end, LinkEnd::Lost(_))), "{lost:?}");
}

/// Queued messages are sent first, however long the other end takes to read them.
#[tokio::test]
async fn a_disconnect_waits_for_queued_messages() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = StpWsConnector::new(format!("ws://{}", listener.local_addr().unwrap()));
    let (go, wait) = tokio::sync::oneshot::channel();
    let stp = tokio::spawn(async move {
        let mut ws = accept_service(listener).await;
        wait.await.unwrap();
        let mut informs = 0;
        while let Some(Ok(frame)) = ws.next().await {
            informs += usize::from(frame.is_text());
        }
        informs
    });
    soon(connector.connect(StpService::new("a", [""; 0]), seconds(5.0))).await.unwrap();
    // More than the kernel's buffers hold.
    let message = "x".repeat(256 << 10);
    for _ in 0..100 {
        soon(connector.inform(&message, seconds(5.0))).await.unwrap();
    }
    let disconnect = async {
        let (disconnected, ()) = tokio::join!(connector.disconnect(seconds(8.0)), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            go.send(()).unwrap();
        });
        disconnected.unwrap();
    };
    soon(disconnect).await;
    assert_eq!(soon(stp).await.unwrap(), 100);
}

/// An STP that stops reading does not delay a disconnect beyond its timeout.
#[tokio::test]
async fn a_disconnect_from_an_unresponsive_stp_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connector = StpWsConnector::with_config(
        format!("ws://{}", listener.local_addr().unwrap()),
        StpWsConfig::default().capacity(16),
    );
    let stp = tokio::spawn(async move {
        let _ws = accept_service(listener).await;
        std::future::pending::<()>().await;
    });
    soon(connector.connect(StpService::new("a", [""; 0]), seconds(5.0))).await.unwrap();
    let message = "x".repeat(256 << 10);
    let mut sent = 0;
    let full = loop {
        // Long enough for a busy machine: only a full queue takes this long.
        match connector.inform(&message, seconds(2.0)).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, StpInformError::TimedOut(_)) && sent > 16, "{sent}: {full}");
    let start = Instant::now();
    let error = soon(connector.disconnect(seconds(0.3))).await.unwrap_err();
    assert!(matches!(error, StpDisconnectError::TimedOut(_)) && start.elapsed() < AT_ONCE, "{error}");
    assert!(!connector.is_connected());
    stp.abort();
}

#[tokio::test]
async fn a_failed_connect_reports_the_cause_and_does_not_retry() {
    let unreachable = StpWsConnector::new("ws://127.0.0.1:9/x?token=hunter2");
    let error = soon(unreachable.connect(StpService::new("a", ["A"]), seconds(5.0))).await.unwrap_err();
    assert!(matches!(error, StpConnectError::Connect { .. }), "{error}");
    assert!(!error.to_string().contains("hunter2") && error.to_string().contains("nothing listens"), "{error}");
    let error =
        soon(StpWsConnector::new("http://x").connect(StpService::new("a", ["A"]), seconds(5.0))).await.unwrap_err();
    assert!(error.to_string().contains("ws://"), "{error}");

    // A server that accepts connections and never answers, not even the Register.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let (gone, is_gone) = tokio::sync::oneshot::channel();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut ws = tokio_tungstenite::accept_async(stream).await.unwrap();
        while let Some(Ok(_)) = ws.next().await {}
        gone.send(()).unwrap();
        let redialled = tokio::time::timeout(Duration::from_millis(1300), listener.accept()).await;
        assert!(redialled.is_err(), "the connector dialled again");
    });
    let silent = StpWsConnector::new(url);
    let start = Instant::now();
    let error = silent.connect(StpService::new("a", ["A"]), seconds(0.3)).await.unwrap_err();
    assert!(matches!(error, StpConnectError::TimedOut(limit) if limit == Duration::from_millis(300)), "{error}");
    assert!(start.elapsed() < AT_ONCE && !silent.is_connected());
    soon(is_gone).await.unwrap();
}
