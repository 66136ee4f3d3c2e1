//! One trace over three processes: a plugin behind a websocket calls one in a child process, through the engine, and that
//! calls one in a thread. A collector receives what each of the processes exports. This program starts itself as both plugins.
#![allow(clippy::print_stdout, reason = "prints the URL of the plugin for the test")]

use std::collections::HashMap;
use std::env;
use std::process::Stdio;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use connector_core::{Context, Engine, Plugin, PluginClient};
use connector_telemetry::otel;
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::trace::{TraceContextExt, Tracer, TracerProvider};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use transport_ipc::{Channel, Program};

const ROLE: &str = "TRACED_ROLE";
const COLLECTOR: &str = "TRACED_COLLECTOR";
const LIMIT: Duration = Duration::from_secs(60);

fn main() {
    // Before the runtime starts threads, because taking the channel changes the environment.
    let role = env::var(ROLE).unwrap_or_default();
    let channel = (role == "child").then(|| Channel::find().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        match (&*role, channel) {
            ("child", Some(channel)) => drop(channel.serve(child()).await),
            ("caller", _) => caller().await,
            _ => tokio::time::timeout(LIMIT, one_trace_leads_through_all_processes()).await.expect("it hangs"),
        }
    });
    // An exporter's thread does not delay the end.
    runtime.shutdown_background();
}

/// Spans of this process, exported soon after they end.
fn provider(service: &'static str, collector: &str) -> SdkTracerProvider {
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpJson)
        .with_endpoint(format!("{collector}/v1/traces"))
        .build()
        .unwrap();
    let soon = BatchConfigBuilder::default().with_scheduled_delay(Duration::from_millis(20)).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(soon).build();
    let resource = Resource::builder().with_service_name(service).build();
    SdkTracerProvider::builder().with_span_processor(processor).with_resource(resource).build()
}

/// Calls within a span.
async fn call_within(client: &PluginClient, context: &opentelemetry::Context, plugin: &str, method: &str) -> i64 {
    let client = client.with_trace(otel::trace_context(context).unwrap());
    client.call(plugin, method, ()).await.unwrap()
}

/// The plugin behind the websocket, which begins the trace when an engine connects.
async fn caller() {
    let provider = provider("caller", &env::var(COLLECTOR).unwrap());
    let tracer = provider.tracer("caller");
    let plugin = Plugin::new("caller").on_activation(move |client| {
        let context = opentelemetry::Context::new().with_span(tracer.start("work"));
        async move { assert_eq!(call_within(&client, &context, "child", "double").await, 42) }
    });
    let (url, serving) = transport_ws::serve("127.0.0.1:0", move || plugin.clone()).await.unwrap();
    println!("{url}");
    panic!("it stopped serving: {}", serving.await);
}

/// The plugin in the child process, with its own span.
fn child() -> Plugin {
    let provider = provider("child", &env::var(COLLECTOR).unwrap());
    let double = move |ctx: Context| {
        let span = provider.tracer("child").start_with_context("multiply", &otel::parent(&ctx));
        let context = opentelemetry::Context::new().with_span(span);
        async move { 2 * call_within(ctx.client(), &context, "thread", "answer").await }
    };
    Plugin::new("child").method("double", double)
}

async fn one_trace_leads_through_all_processes() {
    let (received, mut spans) = mpsc::unbounded_channel();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let collector = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/v1/traces", post(collect)).with_state(received);
    tokio::spawn(axum::serve(listener, routes).into_future());

    let own = env::current_exe().unwrap();
    let mut program = Command::new(&own);
    program.env(ROLE, "caller").env(COLLECTOR, &collector).stdout(Stdio::piped()).kill_on_drop(true);
    let mut caller = program.spawn().unwrap();
    let mut lines = BufReader::new(caller.stdout.take().unwrap()).lines();
    let url = lines.next_line().await.unwrap().expect("the caller has ended");

    let engine = Engine::new();
    let provider = provider("engine", &collector);
    let _observing = otel::observe_with(&engine, &provider, &NoopMeterProvider::new());
    let child = Program::new(&own).env(ROLE, "child").env(COLLECTOR, &collector);
    engine.register(transport_ipc::child("child", child)).unwrap();
    let thread = || Plugin::new("thread").method("answer", || async { 21 });
    engine.register(transport_worker::worker("thread", thread)).unwrap();
    engine.register(transport_ws::plugin("caller", &url)).unwrap();
    engine.manager().activate("caller").await.unwrap();

    let mut all: HashMap<(String, String, u64), Span> = HashMap::new();
    while all.len() < 6 {
        let span = spans.recv().await.unwrap();
        all.insert((span.service.clone(), span.name.clone(), span.kind), span);
    }
    let (internal, server, client) = (1, 2, 3);
    let mut parent = String::new();
    for (service, name, kind) in [
        ("caller", "work", internal),
        ("engine", "child/double", client),
        ("engine", "child/double", server),
        ("child", "multiply", internal),
        ("engine", "thread/answer", client),
        ("engine", "thread/answer", server),
    ] {
        let found = all.get(&(service.to_owned(), name.to_owned(), kind));
        let span = found.unwrap_or_else(|| panic!("no span {name} of {service}: {all:#?}"));
        assert_eq!(span.parent, parent, "the parent of {name} of {service}: {all:#?}");
        assert_eq!(span.trace, all[&("caller".to_owned(), "work".to_owned(), internal)].trace, "{all:#?}");
        parent.clone_from(&span.id);
    }
    engine.shutdown().await;
}

#[derive(Debug)]
struct Span {
    service: String,
    name: String,
    kind: u64,
    trace: String,
    id: String,
    parent: String,
}

/// Passes the spans of an export request on, except those of the engine's own calls.
async fn collect(State(received): State<mpsc::UnboundedSender<Span>>, Json(request): Json<Value>) -> Json<Value> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for resource in request["resourceSpans"].as_array().unwrap() {
        let attributes = resource["resource"]["attributes"].as_array().unwrap();
        let service = attributes.iter().find(|attribute| attribute["key"] == "service.name").unwrap();
        for span in
            resource["scopeSpans"].as_array().unwrap().iter().flat_map(|scope| scope["spans"].as_array().unwrap())
        {
            let _ = received.send(Span {
                service: text(&service["value"]["stringValue"]),
                name: text(&span["name"]),
                kind: span["kind"].as_u64().unwrap(),
                trace: text(&span["traceId"]),
                id: text(&span["spanId"]),
                parent: text(&span["parentSpanId"]),
            });
        }
    }
    Json(serde_json::json!({}))
}
