//! The permissions that the crate's documentation lists are enough, and without them an error says so.

use std::time::Duration;

use connector_core::{ConnectError, Engine, PluginConnector, PluginOptions};
use futures_util::StreamExt;
use transport_nats::{NatsConnector, NatsServer, ServeError};

use crate::support::{LIMIT, Replica, broker_with, config, engine, within};

/// From the documentation of the crate, as it stands there.
fn documented() -> String {
    let lines = include_str!("../../src/lib.rs").lines().filter_map(|line| line.strip_prefix("//!"));
    let lines = lines.skip_while(|line| *line != " authorization {").take_while(|line| *line != " ```");
    lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}

/// As documented, and a user who may do nothing that concerns plugins.
pub(crate) fn users() -> String {
    let spy = r#"{ user: spy, password: pw, permissions: { publish: ["spy.>"], subscribe: ["spy.>", "_INBOX.>"] } }"#;
    documented().replace("\"…\"", "pw").replace("    ]\n", &format!("        {spy}\n    ]\n"))
}

#[test]
fn both_documents_have_the_same_permissions() {
    let chapter = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/beyond-one-machine.md");
    // A package of this crate is without it.
    if let Ok(chapter) = std::fs::read_to_string(chapter) {
        assert!(chapter.contains(&documented()));
    }
}

#[tokio::test]
async fn with_the_documented_permissions_everything_works_and_a_spy_hears_nothing() {
    let (broker, _directory) = broker_with(&users());
    let spy = async_nats::ConnectOptions::with_user_and_password("spy".to_owned(), "pw".to_owned());
    let spy = spy.connect(broker.url()).await.unwrap();
    let mut heard = Vec::new();
    for subject in ["plugins.>", ">", "plugins.probe.session.*.up", "plugins.probe.open", "_INBOX.>"] {
        heard.push(spy.subscribe(subject).await.unwrap());
    }
    spy.flush().await.unwrap();
    let _replica = Replica::start(config(&broker).user_and_password("probe", "pw")).await;
    let host = config(&broker).user_and_password("host", "pw");
    let (_engine, local) = engine(host.clone()).await;
    for n in 0..100 {
        assert_eq!(within(local.call::<i64>("probe", "add", (n, 1))).await.unwrap(), n + 1);
    }
    let mut replicas = transport_nats::NatsReplicas::new("probe", host).unwrap();
    within(replicas.next()).await;
    // Everything was delivered long ago to those who may hear it.
    let anything = futures_util::future::select_all(heard.iter_mut().map(|heard| heard.next()));
    let heard = tokio::time::timeout(Duration::from_millis(200), anything).await;
    assert!(!matches!(heard, Ok((Some(_), ..))), "{heard:?}");
}

#[tokio::test]
async fn a_user_without_the_permissions_is_told_the_subject() {
    let (broker, _directory) = broker_with(&users());
    let error = within(NatsServer::bind("probe", config(&broker).user_and_password("spy", "pw"))).await.unwrap_err();
    assert!(matches!(error, ServeError::Forbidden(_)), "{error:?}");
    assert!(error.to_string().contains("plugins.probe."), "{error}");
    // Another plugin's user can neither serve this one nor reach it.
    let error = within(NatsServer::bind("other", config(&broker).user_and_password("probe", "pw"))).await.unwrap_err();
    assert!(error.to_string().contains("plugins.other."), "{error}");
    let _replica = Replica::start(config(&broker).user_and_password("probe", "pw")).await;
    for user in ["probe", "spy"] {
        let config = config(&broker).user_and_password(user, "pw");
        let url = NatsConnector::url("probe", &config).unwrap();
        let error = within(NatsConnector::new(config).connect(&url)).await.err().unwrap();
        let ConnectError::Refused(text) = error else { panic!("{error:?}") };
        assert!(text.contains("plugins.probe.") && text.contains("permissions"), "{text}");
    }
}

/// Not once the time for the handshake or the activation is over.
#[tokio::test]
async fn an_activation_says_at_once_which_subject_of_a_session_is_forbidden() {
    for (subject, name, only_replicas) in [
        ("plugins.*.session.*.down", "plugins.probe.session.", false),
        ("plugins.*.replica.*.open", "plugins.probe.replica.", true),
    ] {
        let config_file = users().replacen(&format!("\"{subject}\""), "\"plugins.unused\"", 1);
        let (broker, _directory) = broker_with(&config_file);
        let _replica = Replica::start(config(&broker).user_and_password("probe", "pw")).await;
        let host = config(&broker).user_and_password("host", "pw");
        let mut ways = vec![Engine::new()];
        let options = || PluginOptions::default().handshake_timeout(2 * LIMIT).activation_timeout(2 * LIMIT);
        ways[0].register(transport_nats::replicas("probe", host.clone()).unwrap().options(options())).unwrap();
        if !only_replicas {
            ways.push(Engine::new());
            ways[1].register(transport_nats::plugin("probe", host).options(options())).unwrap();
        }
        for engine in ways {
            let error = within(engine.manager().activate("probe")).await.unwrap_err().to_string();
            assert!(error.contains(name) && error.contains("Give this program's user the permissions"), "{error}");
        }
    }
}

#[tokio::test]
async fn too_many_subscriptions_are_an_error_with_the_remedy() {
    let (broker, _directory) = broker_with("max_subscriptions: 3");
    let error = within(NatsServer::bind("probe", config(&broker))).await.unwrap_err().to_string();
    assert!(error.contains("maximum subscriptions") && error.contains("Raise max_subscriptions"), "{error}");
    let (broker, _directory) = broker_with("max_subscriptions: 4");
    let _replica = Replica::start(config(&broker)).await;
    let host = config(&broker);
    let mut connector = NatsConnector::new(host.clone());
    let mut links = Vec::new();
    let error = loop {
        match within(connector.connect("nats:plugins.probe")).await {
            Ok(link) => links.push(link),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("maximum subscriptions"), "{error}");
    assert!((1..5).contains(&links.len()), "{}", links.len());
}
