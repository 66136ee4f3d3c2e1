//! The published JavaScript connectors, with frames as in docs/protocol.md, section 8, and the published quick start.

use connector_core::stp::{ErrorHandler, InformHandler, StpConnector, StpService, StpTimeout};
use serde_json::json;
use transport_ws::stp::StpWsConnector;

use crate::support::*;

/// The 2021 connector: Register is an inform with a comma-separated string and gets no answer, the session is the URL's
/// path, and API messages are sent unchanged.
#[tokio::test]
async fn the_2021_connector_registers_by_inform_and_exchanges_messages() {
    let hub = hub().await;
    let mut old = Peer::dial(&format!("{}/one", hub.url)).await;
    let mut other = Peer::dial(&format!("{}/one", hub.url)).await;
    let register = |name: &str, solvables: &str| {
        json!({"method": "Register", "params": {"serviceName": name, "language": "javascript", "solvables": solvables}})
            .to_string()
    };
    old.send(register("Old_x7f", "A,B")).await;
    other.send(register("Other_k2", "C")).await;
    until(|| hub.handle.counters().services == 2).await;
    let text = "{ \"method\" : \"B\",\n\"params\":{\"x\":1.0, \"y\":\"\\u00e9\"} }";
    other.send(text).await;
    assert_eq!(old.text().await.unwrap(), text, "unchanged, and the first frame it receives");
    old.send(r#"{"method":"C"}"#).await;
    assert_eq!(other.text().await.unwrap(), r#"{"method":"C"}"#);
    let listing = hub.handle.listing();
    assert_eq!((listing.sessions.len(), &*listing.sessions[0].id), (1, "one"));
    assert_eq!(listing.sessions[0].services[0].solvables, ["A", "B"]);
}

/// 0.1.1 and 0.1.2, with the listener set before the Register: Register is a request whose result is the session id, and
/// requests have cookies from 0. Reconnecting is the connector's task, not the hub's.
#[tokio::test]
async fn the_newer_connector_registers_by_request_and_sends_requests() {
    let hub = hub().await;
    let (_tasks, _) = hub.service_in("desk", "Tasks", &["GetTasks"]).await;
    let mut new = Peer::dial(&hub.url).await;
    let params =
        json!({"serviceName": "Map", "language": "javascript", "solvables": ["TaskAdded"], "machineId": "desk"});
    assert_eq!(new.register(params).await, "desk", "the machine's id, because nothing else names a session");
    new.request(1, &json!({"method": "GetTasks", "params": {}}), 30.0).await;
    let answer = new.json().await;
    assert_eq!(answer["method"], "RequestResponse");
    assert_eq!(
        answer["params"],
        json!({"cookie": 1, "success": true, "result": "Tasks: {\"method\":\"GetTasks\",\"params\":{}}"})
    );
}

/// The published quick start: it sets handlers, derives the solvables from them, and connects with a 10 s timeout, a
/// machine id and a session id.
#[tokio::test]
async fn the_quick_start_works_unchanged() {
    let hub = hub().await;
    let connector = StpWsConnector::new(&hub.url);
    let (informs, errors) = (Log::default(), Log::default());
    let (log_inform, log_error) = (informs.clone(), errors.clone());
    let solvables = ["SymbolAdded", "SymbolModified", "StpMessage"];
    connector.on_inform(InformHandler::new(move |message| log_inform.add(message)));
    connector.on_error(ErrorHandler::new(move |error| log_error.add(error)));
    let service = StpService::new("GoogleMapsSample", solvables).machine_id("box-1").session_id("demo");
    let session = soon(connector.connect(service, StpTimeout::from_seconds(10.0))).await.unwrap();
    assert_eq!(session, "demo");
    assert!(connector.is_connected());
    assert_eq!(
        (connector.base_name(), connector.machine_id()),
        ("GoogleMapsSample".to_owned(), Some("box-1".to_owned()))
    );
    assert_eq!(connector.session_id().as_deref(), Some("demo"));
    let (stp, _) = hub.service_in("demo", "Engine", &["SendPenDown"]).await;
    stp.inform(r#"{"method":"SymbolAdded","params":{"alternates":[]}}"#, StpTimeout::default()).await.unwrap();
    assert_eq!(informs.next().await, r#"{"method":"SymbolAdded","params":{"alternates":[]}}"#);
    connector.inform(r#"{"method":"SendPenDown"}"#, StpTimeout::default()).await.unwrap();
    soon(connector.disconnect(StpTimeout::default())).await.unwrap();
    assert!(!connector.is_connected() && errors.all().is_empty());
}
