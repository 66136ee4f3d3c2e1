//! The published JavaScript connectors, as docs/protocol.md, section 8, has their wire, and the published quick start.

use connector_core::stp::{ErrorHandler, InformHandler, StpConnector, StpService, StpTimeout};
use serde_json::json;
use transport_ws::stp::StpWsConnector;

use crate::support::*;

/// The 2021 connector: Register is an inform with one comma-separated string and gets no answer; the session is the
/// URL's path; API messages go as they are.
#[tokio::test]
async fn the_old_connector_registers_by_inform_and_talks() {
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
    assert_eq!(old.text().await.unwrap(), text, "untouched, and the first thing it hears");
    old.send(r#"{"method":"C"}"#).await;
    assert_eq!(other.text().await.unwrap(), r#"{"method":"C"}"#);
    let listing = hub.handle.listing();
    assert_eq!((listing.sessions.len(), &*listing.sessions[0].id), (1, "one"));
    assert_eq!(listing.sessions[0].services[0].solvables, ["A", "B"]);
}

/// 0.1.1 and 0.1.2, with the listener set before the Register: a request whose result is the session id; requests with
/// cookies from 0; a close that it does not answer for is redialled by it, not by the hub.
#[tokio::test]
async fn the_new_connector_registers_by_request_and_asks() {
    let hub = hub().await;
    let (_tasks, _) = hub.service_in("desk", "Tasks", &["GetTasks"]).await;
    let mut new = Peer::dial(&hub.url).await;
    let params =
        json!({"serviceName": "Map", "language": "javascript", "solvables": ["TaskAdded"], "machineId": "desk"});
    assert_eq!(new.register(params).await, "desk", "the machine's id, since nothing else names a session");
    new.ask(1, &json!({"method": "GetTasks", "params": {}}), 30.0).await;
    let answer = new.json().await;
    assert_eq!(answer["method"], "RequestResponse");
    assert_eq!(
        answer["params"],
        json!({"cookie": 1, "success": true, "result": "Tasks: {\"method\":\"GetTasks\",\"params\":{}}"})
    );
}

/// What the published quick start does: handlers first, solvables derived from them, connected with a 10 s timeout, a
/// machine id and a session id.
#[tokio::test]
async fn the_quick_start_works_unchanged() {
    let hub = hub().await;
    let connector = StpWsConnector::new(&hub.url);
    let (heard, errors) = (Notes::default(), Notes::default());
    let (hear, err) = (heard.clone(), errors.clone());
    let solvables = ["SymbolAdded", "SymbolModified", "StpMessage"];
    connector.on_inform(InformHandler::new(move |message| hear.add(message)));
    connector.on_error(ErrorHandler::new(move |error| err.add(error)));
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
    assert_eq!(heard.next().await, r#"{"method":"SymbolAdded","params":{"alternates":[]}}"#);
    connector.inform(r#"{"method":"SendPenDown"}"#, StpTimeout::default()).await.unwrap();
    soon(connector.disconnect(StpTimeout::default())).await.unwrap();
    assert!(!connector.is_connected() && errors.all().is_empty());
}
