//! What `connect` and `serve` say when something must be put right.

use std::collections::HashSet;
use std::time::Duration;

use conformance::links::assert_refused;
use conformance::probe;
use connector_core::{ConnectError, Event, PluginClient, PluginConnector, PluginOptions};
use tokio::net::TcpListener;
use transport_nats::{NatsConfig, NatsConnector, NatsServer, ServeError};

use crate::support::{Replica, broker, broker_with, config, engine, engine_of, within};

async fn refused(config: NatsConfig) -> ConnectError {
    let url = NatsConnector::url("probe", &config).unwrap();
    within(NatsConnector::new(config).connect(&url)).await.err().expect("it connected")
}

#[tokio::test]
async fn no_server_no_replica_and_a_wrong_login_are_refused_with_the_remedy() {
    assert_refused(
        &refused(NatsConfig::new("nats://127.0.0.1:1")).await,
        "no NATS server listens at nats://127.0.0.1:1",
    );
    assert_refused(&refused(NatsConfig::new("what is this")).await, "NatsConfig::servers");
    assert_refused(&refused(NatsConfig::new("nats://127.0.0.1:1").window(1)).await, "NatsConfig::window");
    let broker = broker();
    assert_refused(&refused(config(&broker)).await, "no replica of the plugin serves");
    let (broker, _directory) = broker_with("authorization { user: host, password: hunter2 }");
    let error = refused(config(&broker).user_and_password("host", "hunter3")).await;
    assert_refused(&error, "NatsConfig::login");
    assert!(!error.to_string().contains("hunter"));
    assert_refused(&refused(config(&broker).credentials("hunter2")).await, "credentials file");
    let url = broker.url().replace("//", "//host:hunter2@");
    assert_refused(&refused(NatsConfig::new(url)).await, "no replica of the plugin serves");
    let (broker, _directory) = broker_with("authorization { token: \"s3:cret\" }");
    let with_token = |token: &str| NatsConfig::new(broker.url().replace("//", &format!("//{token}@")));
    assert_refused(&refused(with_token("s3%3Acret")).await, "no replica of the plugin serves");
    assert_refused(&refused(with_token("other")).await, "NatsConfig::login");
}

#[tokio::test]
async fn a_replica_cannot_serve_without_a_server_or_under_an_unusable_name() {
    let bind = |name: &'static str, config: NatsConfig| async move {
        within(NatsServer::bind(name, config)).await.unwrap_err()
    };
    let nowhere = NatsConfig::new("nats://127.0.0.1:1");
    assert!(matches!(bind("probe", nowhere.clone()).await, ServeError::Connect(ConnectError::Refused(_))));
    assert!(matches!(bind("", nowhere.clone()).await, ServeError::Subject(_)));
    assert!(matches!(bind("probe", nowhere.clone().prefix("a b")).await, ServeError::Subject(_)));
    assert!(matches!(bind("probe", nowhere.clone().replica("a.b")).await, ServeError::Subject(_)));
    assert!(matches!(bind("probe", nowhere.max_sessions(0)).await, ServeError::Setting(_)));
}

#[tokio::test]
async fn a_full_replica_refuses_and_has_room_again_when_a_session_ends() {
    let broker = broker();
    let _replica = Replica::start(config(&broker).max_sessions(1)).await;
    let (first, _) = engine(config(&broker)).await;
    let error = refused(config(&broker)).await;
    assert!(
        matches!(&error, ConnectError::Failed(why) if why.to_string().contains("NatsConfig::max_sessions")),
        "{error:?}"
    );
    first.shutdown().await;
    within(async {
        let config = config(&broker);
        let url = NatsConnector::url("probe", &config).unwrap();
        let mut connector = NatsConnector::new(config);
        while connector.connect(&url).await.is_err() {}
    })
    .await;
}

/// The names of plugins may have any characters.
#[tokio::test]
async fn a_plugin_with_an_odd_name_is_reached() {
    let broker = broker();
    let server = NatsServer::bind("a b*>\u{e4}", config(&broker)).await.unwrap();
    tokio::spawn(connector_core::serve(server, probe, connector_core::ClientConfig::default()));
    let engine = connector_core::Engine::new();
    let local = engine.register(connector_core::Plugin::new("local")).unwrap();
    engine.register(transport_nats::plugin("a b*>\u{e4}", config(&broker))).unwrap();
    within(engine.manager().activate("local")).await.unwrap();
    assert_eq!(within(local.call::<i64>("a b*>\u{e4}", "add", (1, 2))).await.unwrap(), 3);
}

#[tokio::test]
async fn engines_with_the_same_name_do_not_disturb_each_other() {
    let broker = broker();
    let _replicas = [Replica::start(config(&broker)).await, Replica::start(config(&broker)).await];
    let named = || PluginOptions::default().engine_name("host").concurrency(4);
    let (one, first) = engine_of(transport_nats::plugin("probe", config(&broker)).options(named())).await;
    let (_two, second) = engine_of(transport_nats::replicas("probe", config(&broker)).unwrap().options(named())).await;
    let mut rung = [&first, &second].map(|local| local.events::<(String, i64)>("probe", "rang", 1000).unwrap());
    let ring = |local: PluginClient, who: &'static str, number: i64| async move {
        within(local.call::<bool>("probe", "fire", ("rang", who, number))).await
    };
    for n in 0..200 {
        let (a, b, rings, more_rings) = tokio::join!(
            within(first.call::<i64>("probe", "add", (n, 1000))),
            within(second.call::<i64>("probe", "add", (n, 2000))),
            ring(first.clone(), "first", n),
            ring(second.clone(), "second", n),
        );
        assert_eq!((a.unwrap(), b.unwrap()), (n + 1000, n + 2000));
        assert!(rings.unwrap() && more_rings.unwrap());
    }
    // Each hears what its own calls have caused, once.
    for (rung, who) in rung.iter_mut().zip(["first", "second"]) {
        let mut numbers = HashSet::new();
        while numbers.len() < 200 {
            let Some(Event::Args((whose, number))) = within(rung.recv()).await else { panic!("an event is missing") };
            assert!(whose == who && numbers.insert(number), "{who}: {whose} {number}");
        }
    }
    one.shutdown().await;
    assert_eq!(within(second.call::<i64>("probe", "add", (1, 2))).await.unwrap(), 3);
    assert!(tokio::time::timeout(Duration::from_millis(50), rung[1].recv()).await.is_err());
}

/// Clones share their connections, and may have other servers.
#[tokio::test]
async fn a_server_that_says_nothing_delays_nobody_at_another() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let broker = broker();
    let _replica = Replica::start(config(&broker)).await;
    let config = config(&broker).connect_timeout(Duration::from_secs(60));
    let mut elsewhere = config.clone();
    elsewhere.servers = vec![format!("nats://{}", silent.local_addr().unwrap())];
    let mut waiting = NatsConnector::new(elsewhere);
    let waiting = tokio::spawn(async move { waiting.connect("nats:plugins.probe").await.is_ok() });
    let _unanswered = within(silent.accept()).await.unwrap();
    let (_engine, local) = engine(config).await;
    assert_eq!(within(local.call::<i64>("probe", "add", (1, 2))).await.unwrap(), 3);
    waiting.abort();
}
