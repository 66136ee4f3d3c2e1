//! Several replicas of a plugin.

use std::time::Duration;

use connector_core::{ClientConnector, ConnectError, Engine, LinkEnd, Plugin, PluginConnector, PluginOptions, Rest};
use futures_util::{FutureExt, StreamExt};
use transport_nats::{NatsConfig, NatsConnector, NatsReplicas, NatsServer, ReplicaChange};

use crate::permissions::users;
use crate::support::{Replica, broker, broker_with, config, engine, until_it_answers, within};

async fn found(replicas: &mut NatsReplicas) -> (String, String) {
    match within(replicas.next()).await {
        ReplicaChange::Found { replica, url } => (replica, url),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn replicas_are_found_opened_by_their_id_drain_and_go() {
    let broker = broker();
    let first = Replica::start(config(&broker).replica("one")).await;
    let mut replicas = NatsReplicas::new("probe", config(&broker)).unwrap();
    let (one, one_url) = found(&mut replicas).await;
    assert_eq!((&*one, &*one_url), ("one", "nats:plugins.probe/one"));
    let mut second = Replica::start(config(&broker).replica("two")).await;
    let (two, two_url) = found(&mut replicas).await;
    assert_eq!(two, "two");
    let mut connector = NatsConnector::new(config(&broker));
    for url in [&one_url, &two_url] {
        drop(within(connector.connect(url)).await.unwrap());
    }
    second.stop();
    assert_eq!(within(replicas.next()).await, ReplicaChange::Draining { replica: "two".to_owned() });
    assert_eq!(within(replicas.next()).await, ReplicaChange::Gone { replica: "two".to_owned() });
    assert!(matches!(within(&mut second.serving).await, Ok(LinkEnd::Disconnected)));
    let gone = within(connector.connect(&two_url)).await.err().unwrap();
    assert!(matches!(gone, ConnectError::Refused(_)), "{gone:?}");
    drop(first);
    assert_eq!(within(replicas.next()).await, ReplicaChange::Gone { replica: "one".to_owned() });
}

#[tokio::test]
async fn a_replica_that_stops_finishes_its_calls_and_new_sessions_go_to_another() {
    let broker = broker();
    let mut first = Replica::start(config(&broker).replica("one")).await;
    let (_engine, local) = engine(config(&broker)).await;
    let running = tokio::spawn({
        let local = local.clone();
        async move { local.call::<serde_json::Value>("probe", "slow", (300, "done")).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _second = Replica::start(config(&broker).replica("two")).await;
    first.stop();
    assert!(within(running).await.unwrap().is_ok());
    until_it_answers(&local).await;
    assert!(matches!(within(&mut first.serving).await, Ok(LinkEnd::Disconnected)));
    until_it_answers(&local).await;
    // The queue group has only one member left.
    let mut connector = NatsConnector::new(config(&broker));
    for _ in 0..20 {
        drop(within(connector.connect("nats:plugins.probe")).await.unwrap());
    }
}

#[tokio::test]
async fn engines_are_spread_over_the_replicas() {
    let broker = broker();
    let (one, two) = (config(&broker).replica("one").max_sessions(30), config(&broker).replica("two").max_sessions(30));
    let _replicas = (Replica::start(one).await, Replica::start(two).await);
    let mut connector = NatsConnector::new(config(&broker));
    let mut links = Vec::new();
    // More than either accepts.
    while links.len() < 31 {
        match within(connector.connect("nats:plugins.probe")).await {
            Ok(link) => links.push(link),
            Err(ConnectError::Failed(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// Not after the time for an activation, nor as a replica that was not found.
#[tokio::test]
async fn an_activation_says_what_prevents_the_search_for_replicas() {
    let (broker, _directory) = broker_with(&users());
    let _replica = Replica::start(config(&broker).user_and_password("probe", "pw")).await;
    for (config, parts) in [
        (NatsConfig::new("nats://127.0.0.1:1"), ["no NATS server listens at nats://127.0.0.1:1", "start nats-server"]),
        (
            config(&broker).user_and_password("host", "wrong"),
            ["does not accept this program's login", "NatsConfig::login"],
        ),
        (
            config(&broker).user_and_password("spy", "pw"),
            ["plugins.probe.", "Give this program's user the permissions"],
        ),
    ] {
        let engine = Engine::new();
        engine.register(transport_nats::replicas("probe", config).unwrap()).unwrap();
        let error = within(engine.manager().activate("probe")).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot connect to plugin \"probe\" at nats:plugins.probe: "), "{error}");
        assert!(parts.iter().all(|part| error.contains(part)), "{error}");
    }
}

/// Both ends are right, but not about each other.
#[tokio::test]
async fn an_activation_that_finds_no_replica_says_where_it_has_looked() {
    let (broker, _directory) = broker_with("authorization { user: host, password: hunter2 }");
    let with_login = |url: String| NatsConfig::new(url.replace("//", "//host:hunter2@"));
    let _replica = Replica::start(with_login(broker.url()).prefix("elsewhere")).await;
    let engine = Engine::new();
    let options = PluginOptions::default().activation_timeout(Duration::from_millis(200));
    engine.register(transport_nats::replicas("probe", with_login(broker.url())).unwrap().options(options)).unwrap();
    let error = within(engine.manager().activate("probe")).await.unwrap_err().to_string();
    let place = format!("cannot connect to plugin \"probe\" at nats:plugins.probe on {}: no replica has", broker.url());
    assert!(error.starts_with(&place), "{error}");
}

/// What has arrived through the queue group is neither accepted nor lost.
#[tokio::test]
async fn a_replica_that_stops_sends_engines_to_another_at_once() {
    let broker = broker();
    let witness = async_nats::connect(broker.url()).await.unwrap();
    let mut asked = witness.subscribe("plugins.probe.open").await.unwrap();
    witness.flush().await.unwrap();
    let mut first = NatsServer::bind("probe", config(&broker)).await.unwrap();
    // Longer than the test may take.
    let config_of_host = config(&broker).connect_timeout(Duration::from_secs(60));
    let opening = tokio::spawn(async move { NatsConnector::new(config_of_host).connect("nats:plugins.probe").await });
    within(asked.next()).await.unwrap();
    let _second = Replica::start(config(&broker)).await;
    first.stopping();
    drop(first);
    within(opening).await.unwrap().unwrap();
}

/// As when they are named after the machine that runs both.
#[tokio::test]
async fn replicas_with_one_id_do_not_end_each_others_sessions() {
    let broker = broker();
    let _same =
        [Replica::start(config(&broker).replica("one")).await, Replica::start(config(&broker).replica("one")).await];
    for number in 0..5 {
        let engine = Engine::new();
        let local = engine.register(Plugin::new("local")).unwrap();
        engine.register(transport_nats::replicas("probe", config(&broker)).unwrap()).unwrap();
        within(engine.manager().activate("local")).await.unwrap();
        let mut down = local.events::<Rest>("manager", "linkDown", 8).unwrap();
        assert_eq!(within(local.call::<i64>("probe", "add", (number, 1))).await.unwrap(), number + 1);
        assert!(down.next().now_or_never().is_none(), "the link was lost");
        within(engine.shutdown()).await;
    }
}
