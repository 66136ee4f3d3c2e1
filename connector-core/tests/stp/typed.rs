//! API messages as serde types, and a service made of handlers.

use std::sync::{Arc, Mutex};

use connector_core::stp::{Envelope, StpAskError, StpClient, StpSendError, StpTimeout, api_message, read_response};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::fake::Fake;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Task {
    name: String,
    priority: u8,
}

/// A whole API as one type.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "method", content = "params")]
enum Api {
    TaskAdded(Task),
    GetTasks {},
}

type Texts = Arc<Mutex<Vec<String>>>;

fn patrol() -> Task {
    Task { name: "patrol".to_owned(), priority: 2 }
}

#[test]
fn messages_are_built_from_and_parsed_into_serde_types() {
    let text = api_message("TaskAdded", &patrol()).unwrap();
    assert_eq!(text, r#"{"method":"TaskAdded","params":{"name":"patrol","priority":2}}"#);
    assert_eq!(serde_json::to_string(&Api::TaskAdded(patrol())).unwrap(), text);
    assert_eq!(serde_json::from_str::<Api>(&text).unwrap(), Api::TaskAdded(patrol()));
    let envelope = Envelope::parse(&text).unwrap();
    assert_eq!(envelope.read::<Task>().unwrap(), patrol());
    envelope.read::<Vec<u8>>().unwrap_err();
    assert_eq!(Envelope::parse(r#"{"method":"m"}"#).unwrap().read::<Option<u8>>().unwrap(), None);
    api_message("m", &std::collections::BTreeMap::from([((1, 2), 3)])).unwrap_err();
}

#[test]
fn responses_are_json_or_text() {
    assert_eq!(read_response::<Task>(r#"{"name":"patrol","priority":2}"#).unwrap(), patrol());
    assert_eq!(read_response::<u8>("5").unwrap(), 5);
    for (text, read) in [("plain", "plain"), ("5", "5"), (r#""quoted""#, "quoted")] {
        assert_eq!(read_response::<String>(text).unwrap(), read);
    }
    read_response::<u8>("plain").unwrap_err();
}

/// Like the published quick start: handlers first, solvables derived from them, connected with a timeout of 10 s, a
/// machine id and a session id.
#[tokio::test]
async fn a_client_connects_with_the_solvables_of_its_handlers() {
    let fake = Fake::echo();
    let stp = StpClient::new(fake.clone());
    let added: Arc<Mutex<Vec<Task>>> = Arc::default();
    let (other, errors): (Texts, Texts) = Default::default();
    let (add, others, err) = (added.clone(), other.clone(), errors.clone());
    stp.on("TaskAdded", move |task: Task| add.lock().unwrap().push(task));
    stp.answer("Rate", |task: Task| async move {
        if task.priority == 0 { Err("no priority") } else { Ok(json!({ "rate": task.priority * 2 })) }
    });
    stp.on("Rate", |_: serde_json::Value| {});
    stp.on_other(move |message| others.lock().unwrap().push(message));
    stp.on_error(move |error| err.lock().unwrap().push(error));
    assert_eq!(stp.solvables(), ["TaskAdded", "Rate"]);
    let session = stp.connect("Tasks", StpTimeout::from_seconds(10.0), Some("box"), Some("demo")).await.unwrap();
    let (service, timeout) = fake.service().unwrap();
    assert_eq!((&*session, &*service.service_name, timeout.seconds()), ("demo", "Tasks", 10.0));
    assert_eq!(service.solvables, ["TaskAdded", "Rate"]);
    assert_eq!((service.machine_id.as_deref(), service.session_id.as_deref()), (Some("box"), Some("demo")));
    assert!(stp.connector().is_connected());

    fake.inform_service(r#"{"method":"TaskAdded","params":{"name":"patrol","priority":2}}"#);
    for bad in [r#"{"method":"TaskAdded","params":{"name":5}}"#, "not JSON", r#"{"method":"Unknown"}"#] {
        fake.inform_service(bad);
    }
    fake.lose();
    assert_eq!(*added.lock().unwrap(), [patrol()]);
    assert_eq!(*other.lock().unwrap(), [r#"{"method":"Unknown"}"#]);
    assert_eq!(*errors.lock().unwrap(), ["lost"]);

    let ask =
        async |priority: u8| fake.request_service(&api_message("Rate", &Task { priority, ..patrol() }).unwrap()).await;
    assert_eq!(ask(4).await.unwrap(), r#"{"rate":8}"#);
    assert_eq!(ask(0).await.unwrap_err(), "no priority");
    assert!(
        fake.request_service(r#"{"method":"Rate","params":7}"#).await.unwrap_err().contains("expected struct Task")
    );
    assert_eq!(fake.request_service(r#"{"method":"Nope"}"#).await.unwrap_err(), "this service does not answer Nope");
    fake.request_service("not JSON").await.unwrap_err();
}

#[tokio::test]
async fn a_client_sends_typed_informs_and_requests() {
    let fake = Fake::new(|_| Ok(vec![r#"{"name":"patrol","priority":2}"#.to_owned()]));
    let stp = StpClient::new(fake.clone());
    let timeout = StpTimeout::default();
    let error = stp.inform("TaskAdded", &patrol(), timeout).await.unwrap_err();
    assert!(matches!(error, StpSendError::Inform(_)), "{error}");
    stp.connect("Tasks", timeout, None, None).await.unwrap();
    stp.inform("TaskAdded", &patrol(), timeout).await.unwrap();
    assert_eq!(fake.informs(), [r#"{"method":"TaskAdded","params":{"name":"patrol","priority":2}}"#]);
    assert_eq!(stp.request::<Task>("GetTasks", &(), timeout).await.unwrap(), [patrol()]);
    let error = stp.request::<u8>("GetTasks", &(), timeout).await.unwrap_err();
    assert!(matches!(&error, StpAskError::Response { method, .. } if method == "GetTasks"), "{error}");
}
