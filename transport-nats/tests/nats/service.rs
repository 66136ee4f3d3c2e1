//! A plugin's methods as a NATS service, used by programs that know only NATS.

use std::time::Duration;

use async_nats::service::{Info, PingResponse, Stats};
use async_nats::{Client, Message, RequestErrorKind};
use conformance::{engine_with, probe};
use connector_core::{Access, Engine, Operation, Plugin, PluginClient, PluginOptions};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use transport_nats::{NatsConfig, ServeError};

use crate::broker::Broker;
use crate::permissions::users;
use crate::support::{broker, broker_with, config, within};

const ADD: &str = "plugins.probe.call.add";

/// An engine with the plugins `gate`, which calls, and `probe`.
async fn gate() -> (Engine, PluginClient) {
    let (engine, gate) = engine_with(Plugin::new("gate")).await;
    engine.register(probe()).unwrap();
    (engine, gate)
}

/// An instance with its own engine, until the value is dropped.
struct Instance(tokio::task::JoinHandle<()>);

impl Instance {
    async fn start(config: NatsConfig) -> Instance {
        let (engine, gate) = gate().await;
        let service = within(transport_nats::service(gate, "probe", config)).await.unwrap();
        Instance(tokio::spawn(async move {
            service.run().await.unwrap();
            drop(engine);
        }))
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn client(broker: &Broker) -> Client {
    async_nats::connect(broker.url()).await.unwrap()
}

/// The result, or the code and the text of the error.
async fn request(client: &Client, method: &str, arguments: &str) -> Result<String, (String, String)> {
    let subject = format!("plugins.probe.call.{method}");
    let Message { payload, headers, .. } = within(client.request(subject, arguments.to_owned().into())).await.unwrap();
    let header = |name| headers.as_ref().and_then(|headers| headers.get(name)).map(ToString::to_string);
    match header("Nats-Service-Error-Code") {
        Some(code) => Err((code, header("Nats-Service-Error").unwrap())),
        None => Ok(String::from_utf8(payload.to_vec()).unwrap()),
    }
}

async fn code(client: &Client, method: &str, arguments: &str) -> String {
    request(client, method, arguments).await.unwrap_err().0
}

/// What so many instances answer to a plain request.
async fn ask<T: DeserializeOwned>(client: &Client, subject: &str, instances: usize) -> Vec<T> {
    let inbox = client.new_inbox();
    let mut answers = client.subscribe(inbox.clone()).await.unwrap();
    client.publish_with_reply(subject.to_owned(), inbox, "".into()).await.unwrap();
    let mut read = Vec::new();
    while read.len() < instances {
        let answer = within(answers.next()).await.unwrap();
        read.push(serde_json::from_slice(&answer.payload).unwrap());
    }
    assert!(tokio::time::timeout(Duration::from_millis(50), answers.next()).await.is_err(), "more than {instances}");
    read
}

async fn nobody_serves(client: &Client, subject: &str) -> bool {
    // What is on its way to an instance that ends gets no answer.
    let asked = client.request(subject.to_owned(), "[1, 2]".into());
    let asked = tokio::time::timeout(Duration::from_millis(500), asked).await;
    asked.is_ok_and(|asked| asked.is_err_and(|error| error.kind() == RequestErrorKind::NoResponders))
}

#[tokio::test]
async fn methods_are_called_and_two_instances_are_discovered() {
    let broker = broker();
    let _instances = (Instance::start(config(&broker)).await, Instance::start(config(&broker)).await);
    let client = client(&broker).await;
    for n in 0..50 {
        assert_eq!(request(&client, "add", &format!(" [{n}, 1]")).await, Ok((n + 1).to_string()));
    }
    assert_eq!(request(&client, "watched", "").await, Ok("[]".to_owned()));
    let (code, text) = request(&client, "fail", r#"["not\ntoday"]"#).await.unwrap_err();
    assert!(code == "500" && text.contains(r"not\ntoday"), "{code}: {text}");
    let pings = ask::<PingResponse>(&client, "$SRV.PING", 2).await;
    assert!(pings.iter().all(|ping| ping.name == "probe" && ping.kind == "io.nats.micro.v1.ping_response"));
    assert_ne!(pings[0].id, pings[1].id);
    let [info] = &*ask::<Info>(&client, &format!("$SRV.INFO.probe.{}", pings[0].id), 1).await else { panic!() };
    let add = info.endpoints.iter().find(|endpoint| endpoint.name == "add").unwrap();
    assert_eq!((&*add.subject, &*add.queue_group), ("plugins.probe.call.add", "q"));
    let stats = ask::<Stats>(&client, "$SRV.STATS.probe", 2).await;
    let of = |name| stats.iter().flat_map(|stats| &stats.endpoints).filter(move |endpoint| endpoint.name == name);
    assert_eq!(of("add").map(|add| add.requests).collect::<Vec<_>>().iter().sum::<usize>(), 50);
    assert!(of("add").all(|add| add.requests > 0), "one instance had all the requests");
    assert_eq!(of("fail").map(|fail| fail.errors).sum::<usize>(), 1);
}

#[tokio::test]
async fn errors_have_the_documented_codes() {
    let broker = broker();
    let rule = |access: &Access<'_>| !matches!(access.operation, Operation::Call { method: "secret", .. });
    let engine = Engine::builder().access_rule("no-secrets", rule).build();
    let gate = engine.register(Plugin::new("gate")).unwrap();
    within(engine.manager().activate("gate")).await.unwrap();
    let probe = Plugin::new("probe")
        .method("add", |a: i64, b: i64| async move { a + b })
        .method("secret", || async {})
        .method("big", |length: usize| async move { "x".repeat(length) })
        .method("hang", std::future::pending::<()>);
    engine.register(probe.options(PluginOptions::default().concurrency(8))).unwrap();
    let limits = config(&broker).max_message(1000).max_requests(2).request_timeout(Duration::from_millis(500));
    let service = within(transport_nats::service(gate, "probe", limits)).await.unwrap();
    let serving = tokio::spawn(service.run());
    let client = client(&broker).await;
    for bad in ["{}", "3", "[1, 2", "[1] [2]", "null", "\u{0}", r#"["a", "b"]"#, "[1]"] {
        assert_eq!(code(&client, "add", bad).await, "400", "{bad}");
    }
    assert_eq!(code(&client, "add", &format!("[1,{}2]", " ".repeat(1000))).await, "413");
    assert_eq!(code(&client, "add", &"[".repeat(900)).await, "400");
    assert_eq!(code(&client, "secret", "[]").await, "403");
    assert_eq!(code(&client, "big", "[999]").await, "500");
    assert_eq!(request(&client, "big", "[10]").await, Ok(format!("{:?}", "x".repeat(10))));
    // Two hang, so a third is refused; then both end.
    let hanging = [(); 2].map(|()| {
        let client = client.clone();
        tokio::spawn(async move { code(&client, "hang", "").await })
    });
    within(async { while request(&client, "add", "[1, 2]").await.is_ok() {} }).await;
    assert_eq!(code(&client, "add", "[1, 2]").await, "503");
    for hanging in hanging {
        assert_eq!(within(hanging).await.unwrap(), "504");
    }
    assert_eq!(request(&client, "add", "[1, 2]").await, Ok("3".to_owned()));
    within(engine.remove("probe")).await;
    assert_eq!(code(&client, "add", "[1, 2]").await, "404");
    serving.abort();
}

#[tokio::test]
async fn an_instance_that_stops_completes_its_requests_and_one_that_is_dropped_is_gone() {
    let broker = broker();
    let client = client(&broker).await;
    let (_engine, gate) = gate().await;
    let service = within(transport_nats::service(gate, "probe", config(&broker))).await.unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(service.until(stopped));
    let running = tokio::spawn({
        let client = client.clone();
        async move { request(&client, "slow", r#"[300, "done"]"#).await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    stop.send(()).unwrap();
    assert_eq!(within(running).await.unwrap(), Ok(r#""done""#.to_owned()));
    within(serving).await.unwrap().unwrap();
    assert!(nobody_serves(&client, ADD).await && nobody_serves(&client, "$SRV.PING").await);
    let instance = Instance::start(config(&broker)).await;
    ask::<PingResponse>(&client, "$SRV.PING.probe", 1).await;
    drop(instance);
    for subject in [ADD, "$SRV.PING"] {
        within(async { while !nobody_serves(&client, subject).await {} }).await;
    }
}

#[tokio::test]
async fn an_instance_serves_again_after_the_server_was_killed() {
    let mut broker = broker();
    let _instance = Instance::start(config(&broker)).await;
    broker.restart().unwrap();
    let client = client(&broker).await;
    within(async {
        while client.request(ADD, "[1, 2]".into()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    ask::<PingResponse>(&client, "$SRV.PING", 1).await;
}

#[tokio::test]
async fn a_request_cannot_make_the_service_publish_to_a_plugins_subjects() {
    let broker = broker();
    let _instance = Instance::start(config(&broker)).await;
    let client = client(&broker).await;
    let mut heard = client.subscribe("plugins.probe.announce").await.unwrap();
    let forged = r#"[{"gone": {"replica": "one"}}]"#;
    client.publish_with_reply("plugins.probe.call.echo", "plugins.probe.announce", forged.into()).await.unwrap();
    assert_eq!(request(&client, "add", "[1, 2]").await, Ok("3".to_owned()));
    assert!(tokio::time::timeout(Duration::from_millis(200), heard.next()).await.is_err());
}

#[tokio::test]
async fn the_documented_permissions_are_enough_and_others_are_told_the_subject() {
    let (broker, _directory) = broker_with(&users());
    let user = |name: &str| config(&broker).user_and_password(name, "pw");
    let _instance = Instance::start(user("gateway")).await;
    let caller = async_nats::ConnectOptions::with_user_and_password("caller".to_owned(), "pw".to_owned());
    let caller = caller.connect(broker.url()).await.unwrap();
    assert_eq!(request(&caller, "add", "[1, 2]").await, Ok("3".to_owned()));
    assert_eq!(ask::<PingResponse>(&caller, "$SRV.PING", 1).await[0].name, "probe");
    for name in ["spy", "probe", "host", "caller"] {
        let (_engine, gate) = gate().await;
        let error = within(transport_nats::service(gate, "probe", user(name))).await.unwrap_err();
        assert!(matches!(error, ServeError::Forbidden(_)), "{error:?}");
    }
}

#[tokio::test]
async fn a_plugin_that_cannot_be_a_service_is_an_error() {
    let broker = broker();
    let (engine, gate) = gate().await;
    engine.register(Plugin::new("a b").method("x", || async {})).unwrap();
    engine.register(Plugin::new("odd").method("a.b", || async {})).unwrap();
    let many = (0..1000).fold(Plugin::new("many"), |many, n| many.method(&format!("m{n}"), || async {}));
    engine.register(many).unwrap();
    for (name, why) in
        [("a b", "named"), ("odd", "no method"), ("many", "1000 methods"), ("nobody", "not registered"), ("", "name")]
    {
        let error = within(transport_nats::service(gate.clone(), name, config(&broker))).await.unwrap_err();
        assert!(error.to_string().contains(why), "{name}: {error}");
    }
}
