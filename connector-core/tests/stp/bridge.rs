//! STP services as plugins, and plugins as STP services, on virtual time.

use std::time::Duration;

use connector_core::stp::{StpConnector, StpOffer, StpPlugin, StpRequestError, StpTimeout};
use connector_core::{CallError, Engine, Plugin, PluginClient, Rest};
use serde_json::{Value, json};

use crate::fake::Fake;

async fn host() -> (Engine, PluginClient) {
    let engine = Engine::new();
    let local = engine.register(Plugin::new("local")).unwrap();
    engine.manager().activate("local").await.unwrap();
    (engine, local)
}

async fn settle() {
    tokio::time::sleep(Duration::from_millis(100)).await;
}

fn notes(client: &PluginClient, emitter: &str, event: &str) -> std::sync::mpsc::Receiver<Value> {
    let (tell, told) = std::sync::mpsc::channel();
    client.on(emitter, event, move |args: Rest| tell.send(serde_json::to_value(&args).unwrap()).unwrap()).unwrap();
    told
}

#[tokio::test(start_paused = true)]
async fn an_stp_service_acts_as_a_plugin() {
    let (engine, local) = host().await;
    let editor = engine.register(Plugin::new("editor")).unwrap();
    engine.manager().activate("editor").await.unwrap();
    let fake = Fake::new(|message| match message {
        message if message.contains("Refused") => Err(StpRequestError::Refused("not today".to_owned())),
        message => Ok(vec![message.to_owned()]),
    });
    let plugin = StpPlugin::new("tasks", fake.clone())
        .methods(["GetTasks", "Refused"])
        .events(["TaskAdded", "TaskRemoved"])
        .forward("editor", ["placed"])
        .machine_id("m")
        .session_id("demo");
    engine.register(plugin.into_plugin()).unwrap();
    engine.manager().activate("tasks").await.unwrap();

    // Solvables are the events that plugins can subscribe to.
    let (service, _) = fake.service().expect("connected once it is active");
    assert_eq!(
        (&*service.service_name, &service.solvables[..]),
        ("tasks", &["TaskAdded", "TaskRemoved"].map(str::to_owned)[..])
    );
    assert_eq!((service.machine_id.as_deref(), service.session_id.as_deref()), (Some("m"), Some("demo")));

    // A call becomes a request.
    let answer: Value = local.call("tasks", "GetTasks", (json!({"open": true}),)).await.unwrap();
    assert_eq!(answer, json!({"method": "GetTasks", "params": {"open": true}}));
    let answer: Value = local.call("tasks", "GetTasks", (1, "two")).await.unwrap();
    assert_eq!(answer, json!({"method": "GetTasks", "params": [1, "two"]}));
    let error = local.call::<Value>("tasks", "Refused", ()).await.unwrap_err();
    assert!(matches!(&error, CallError::Plugin(fault) if fault.to_string() == "not today"), "{error}");

    // An inform becomes an event, and an event an inform.
    let received = notes(&local, "tasks", "TaskAdded");
    settle().await;
    fake.inform_service(r#"{"method":"TaskAdded","params":{"name":"patrol"}}"#);
    fake.inform_service("not JSON");
    fake.inform_service(r#"{"method":"TaskAdded"}"#);
    editor.emit("placed", (7,)).await.unwrap();
    settle().await;
    assert_eq!(received.try_iter().collect::<Vec<_>>(), [json!([{"name": "patrol"}]), json!([])]);
    assert_eq!(fake.informs(), [r#"{"method":"placed","params":7}"#]);

    engine.manager().deactivate("tasks").await.unwrap();
    assert!(!fake.is_connected());
}

#[tokio::test(start_paused = true)]
async fn a_plugin_reports_an_unreachable_stp_and_retries() {
    let (engine, local) = host().await;
    let fake = Fake::echo().failing(3);
    engine.register(StpPlugin::new("tasks", fake.clone()).methods(["GetTasks"]).into_plugin()).unwrap();
    engine.manager().activate("tasks").await.unwrap();
    let error = local.call::<Value>("tasks", "GetTasks", ()).await.unwrap_err();
    assert!(error.to_string().starts_with("not connected to STP"), "{error}");
    tokio::time::sleep(Duration::from_secs(4)).await;
    local.call::<Value>("tasks", "GetTasks", ()).await.unwrap();
    engine.manager().deactivate("tasks").await.unwrap();
    engine.manager().activate("tasks").await.unwrap();
    local.call::<Value>("tasks", "GetTasks", ()).await.unwrap();
    drop(engine);
}

#[tokio::test(start_paused = true)]
async fn a_plugin_acts_as_an_stp_service() {
    let (engine, local) = host().await;
    let calculator = Plugin::new("calculator")
        .method("add", |a: i64, b: i64| async move { a + b })
        .method("name", |what: Value| async move { format!("it is {what}") })
        .method("secret", || async { 42 });
    let calculator = engine.register(calculator).unwrap();
    let fake = Fake::echo();
    let offer = StpOffer::new("calculator", local.clone()).methods(["add", "name"]).events(["overflowed"]);
    let offered = offer.session_id("demo").connect(fake.clone(), StpTimeout::default()).await.unwrap();
    assert_eq!(offered.session_id(), "demo");
    assert_eq!(fake.service().unwrap().0.solvables, ["add", "name"]);

    assert_eq!(fake.request_service(r#"{"method":"add","params":[20,22]}"#).await.unwrap(), "42");
    assert_eq!(fake.request_service(r#"{"method":"name","params":{"x":1}}"#).await.unwrap(), r#""it is {\"x\":1}""#);
    assert_eq!(
        fake.request_service(r#"{"method":"secret"}"#).await.unwrap_err(),
        "secret is not offered by calculator"
    );
    assert!(fake.request_service(r#"{"method":"add","params":["x"]}"#).await.unwrap_err().contains("argument 1"));
    fake.request_service("not JSON").await.unwrap_err();

    // An inform becomes a call whose result is ignored, and an event an inform.
    fake.inform_service(r#"{"method":"add","params":[1,2]}"#);
    calculator.emit("overflowed", ("add",)).await.unwrap();
    settle().await;
    assert_eq!(fake.informs(), [r#"{"method":"overflowed","params":"add"}"#]);
    offered.disconnect(StpTimeout::default()).await.unwrap();
    assert!(!fake.is_connected());
    calculator.emit("overflowed", ("add",)).await.unwrap();
    settle().await;
    assert_eq!(fake.informs().len(), 1);
}

/// From one engine over STP to another and back: values are unchanged.
#[tokio::test(start_paused = true)]
async fn an_offered_plugin_answers_another_plugin_over_stp() {
    let (there, caller) = host().await;
    there.register(Plugin::new("echo").method("same", |args: Rest| async move { args })).unwrap();
    let service = Fake::echo();
    let offer = StpOffer::new("echo", caller).methods(["same"]);
    let _offered = offer.connect(service.clone(), StpTimeout::default()).await.unwrap();

    let (here, local) = host().await;
    here.register(StpPlugin::new("far", Fake::asking(service)).methods(["same"]).into_plugin()).unwrap();
    here.manager().activate("far").await.unwrap();
    for args in [json!([]), json!([1]), json!([[1, 2]]), json!(["x", {"y": [null]}])] {
        let given = connector_core::Payload::from_json(args.to_string()).unwrap();
        let back: Value = local.call("far", "same", given).await.unwrap();
        assert_eq!(back, args);
    }
}
