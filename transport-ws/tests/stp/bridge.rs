//! Over the hub: `wss://`, the typed client, and two engines that use each other's plugins as services.

use std::sync::Arc;

use connector_core::stp::{StpClient, StpConnector, StpOffer, StpPlugin, StpService, StpTimeout};
use connector_core::{Engine, Plugin, Rest};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use transport_ws::stp::{StpHubConfig, StpWsConfig, StpWsConnector};
use transport_ws::{WsConnectorConfig, WsServerConfig};

use crate::support::*;

#[tokio::test]
async fn services_connect_over_tls() {
    let provider = || Arc::new(rustls::crypto::ring::default_provider());
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let cert: CertificateDer<'static> = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let server = rustls::ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let server = server.with_no_client_auth().with_single_cert(vec![cert.clone()], key).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(cert).unwrap();
    let client = rustls::ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let client = client.with_root_certificates(roots).with_no_client_auth();

    let hub = StpHubConfig::default().server(WsServerConfig::default().tls(Arc::new(server)));
    let hub = hub_with("127.0.0.1:0", hub).await;
    assert!(hub.url.starts_with("wss://"), "{}", hub.url);
    let config = StpWsConfig::default().connector(WsConnectorConfig::default().tls(Arc::new(client)));
    let (one, two) =
        (StpWsConnector::with_config(&hub.url, config.clone()), StpWsConnector::with_config(&hub.url, config));
    let log = listen(&two);
    for (connector, solvables) in [(&one, vec![]), (&two, vec!["A"])] {
        let service = StpService::new("a", solvables).session_id("s");
        soon(connector.connect(service, seconds(5.0))).await.unwrap();
    }
    one.inform(r#"{"method":"A"}"#, seconds(5.0)).await.unwrap();
    assert_eq!(log.next().await, r#"{"method":"A"}"#);
}

#[tokio::test]
async fn typed_clients_communicate_over_the_hub() {
    let hub = hub().await;
    let (tasks, map) = (StpClient::new(StpWsConnector::new(&hub.url)), StpClient::new(StpWsConnector::new(&hub.url)));
    tasks.answer("GetTasks", |open: bool| async move { Ok::<_, String>(vec![open]) });
    let added = Log::default();
    let logged = added.clone();
    map.on("TaskAdded", move |name: String| logged.add(name));
    for (client, name) in [(&tasks, "Tasks"), (&map, "Map")] {
        let session = client.connect(name, StpTimeout::from_seconds(10.0), Some("box"), Some("demo")).await.unwrap();
        assert_eq!(session, "demo");
    }
    tasks.inform("TaskAdded", "patrol", seconds(5.0)).await.unwrap();
    assert_eq!(added.next().await, "patrol");
    let open: Vec<Vec<bool>> = soon(map.request("GetTasks", &true, seconds(5.0))).await.unwrap();
    assert_eq!(open, [[true]]);
}

#[tokio::test]
async fn a_plugin_is_offered_as_a_service_and_used_as_a_plugin() {
    let hub = hub().await;
    let (remote, local) = (Engine::new(), Engine::new());
    let mut locals = Vec::new();
    for engine in [&remote, &local] {
        locals.push(engine.register(Plugin::new("local")).unwrap());
        engine.manager().activate("local").await.unwrap();
    }
    let echo = remote.register(Plugin::new("echo").method("same", |args: Rest| async move { args })).unwrap();
    remote.manager().activate("echo").await.unwrap();
    let offer = StpOffer::new("echo", locals[0].clone()).methods(["same"]).events(["said"]).session_id("s");
    let offered = soon(offer.connect(StpWsConnector::new(&hub.url), seconds(5.0))).await.unwrap();
    assert_eq!(offered.session_id(), "s");

    let plugin =
        StpPlugin::new("far", StpWsConnector::new(&hub.url)).methods(["same"]).events(["said"]).session_id("s");
    local.register(plugin.into_plugin()).unwrap();
    soon(local.manager().activate("far")).await.unwrap();
    let given = json!(["x", {"y": [null, 1.5]}]);
    let args = connector_core::Payload::from_json(given.to_string()).unwrap();
    assert_eq!(soon(locals[1].call::<Value>("far", "same", args)).await.unwrap(), given);

    let log = Log::default();
    let logged = log.clone();
    locals[1].on("far", "said", move |what: String| logged.add(what)).unwrap();
    echo.emit("said", ("hello",)).await.unwrap();
    assert_eq!(log.next().await, "hello");

    offered.disconnect(seconds(5.0)).await.unwrap();
    let error = soon(locals[1].call::<Value>("far", "same", ())).await.unwrap_err();
    assert_eq!(error.to_string(), "no service in session s solves same");
}
