//! What `/metrics` holds.

use std::collections::BTreeSet;
use std::time::Duration;

use connector_core::{Engine, Plugin, PluginClient};
use connector_telemetry::prometheus::{self, CONTENT};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

async fn engine() -> (Engine, PluginClient) {
    let engine = Engine::new();
    let calculator = Plugin::new("calculator")
        .method("add", |a: i64, b: i64| async move { a + b })
        .method("divide", |a: i64, b: i64| async move { a.checked_div(b).ok_or("cannot divide by zero") })
        .method("wait", || sleep(Duration::from_millis(60)));
    engine.register(calculator).unwrap();
    let app = engine.register(Plugin::new("app")).unwrap();
    engine.manager().activate("app").await.unwrap();
    (engine, app)
}

/// The names and labels of all series, without their buckets' bounds and their values.
fn series(text: &str) -> BTreeSet<String> {
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let without_bound = |line: &str| {
        let (name, labels) = line.rsplit_once(' ').unwrap().0.split_once('{').unwrap();
        let labels: Vec<&str> =
            labels.trim_end_matches('}').split(',').filter(|label| !label.starts_with("le=")).collect();
        format!("{name}{{{}}}", labels.join(","))
    };
    samples.map(without_bound).collect()
}

fn of(side: &str, method: &str, status: &str) -> Vec<String> {
    let error = if status == "ok" { String::new() } else { format!(",error_type=\"{status}\"") };
    let labels =
        format!("rpc_system_name=\"plugin_connectors\",rpc_method=\"{method}\",rpc_status_code=\"{status}\"{error}");
    ["bucket", "count", "sum"].map(|part| format!("rpc_{side}_call_duration_seconds_{part}{{{labels}}}")).into()
}

#[tokio::test(start_paused = true)]
async fn the_series_are_exactly_those_of_the_calls() {
    let (engine, app) = engine().await;
    let metrics = prometheus::observe(&engine);
    assert!(series(&metrics.render()).is_empty(), "nothing has been called");
    app.call::<i64>("calculator", "add", (1, 2)).await.unwrap();
    app.call::<()>("calculator", "wait", ()).await.unwrap();
    app.call_within::<()>(Duration::from_millis(20), "calculator", "wait", ()).await.unwrap_err();
    app.call::<i64>("calculator", "divide", (1, 0)).await.unwrap_err();
    app.call::<i64>("calculator", "divide", ("one", 0)).await.unwrap_err();
    for made_up in ["one", "two"] {
        app.call::<Value>("calculator", made_up, ()).await.unwrap_err();
        app.call::<Value>(made_up, "add", ()).await.unwrap_err();
    }
    let expected = [
        ("calculator/add", "ok"),
        ("calculator/wait", "ok"),
        ("calculator/wait", "timedOut"),
        ("calculator/divide", "plugin"),
        ("calculator/divide", "badArguments"),
    ];
    let expected =
        expected.into_iter().flat_map(|(method, status)| [of("client", method, status), of("server", method, status)]);
    let expected = expected.chain([of("client", "_OTHER", "refused")]).flatten().collect();
    let text = metrics.render();
    assert_eq!(series(&text), expected, "{text}");
    let wait = |le: &str| {
        let labels = r#"rpc_system_name="plugin_connectors",rpc_method="calculator/wait",rpc_status_code="ok""#;
        [format!("le=\"{le}\",{labels}"), format!("{labels},le=\"{le}\"")]
    };
    for (le, count) in [("0.05", 0), ("0.075", 1), ("10.0", 1), ("+Inf", 1)] {
        let line = wait(le).map(|labels| format!("rpc_server_call_duration_seconds_bucket{{{labels}}} {count}"));
        assert!(line.iter().any(|line| text.contains(line)), "{line:?} is not in {text}");
    }
    for line in ["# TYPE rpc_client_call_duration_seconds histogram", "# UNIT rpc_client_call_duration_seconds seconds"]
    {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    let copy = metrics.clone();
    drop(metrics);
    app.call::<i64>("calculator", "add", (1, 2)).await.unwrap();
    let counted = "rpc_method=\"calculator/add\",rpc_status_code=\"ok\"} 2";
    assert!(copy.render().contains(counted), "a clone keeps counting: {}", copy.render());
}

#[tokio::test]
async fn the_route_shows_them() {
    let (engine, app) = engine().await;
    let metrics = prometheus::observe(&engine);
    app.call::<i64>("calculator", "add", (1, 2)).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(axum::serve(listener, metrics.routes()).into_future());
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    connection.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200") && response.contains(CONTENT), "{response}");
    assert!(response.contains("rpc_method=\"calculator/add\"") && response.contains("# EOF"), "{response}");
    server.abort();
}
