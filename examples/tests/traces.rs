//! A trace through a published plugin, which knows nothing of it.
#![cfg(all(feature = "ws", feature = "ipc"))]

mod support;

use connector_core::{Engine, Plugin};
use connector_telemetry::otel;
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::trace::{SpanId, SpanKind};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use serde_json::json;
use support::{End, IPC_PLUGIN, published_packages};
use transport_ipc::Program;

#[tokio::test]
#[cfg_attr(not(has_node), ignore = "needs Node")]
async fn a_trace_continues_through_a_published_plugin() {
    published_packages();
    let published = support::Plugin::start(End::JavaScript("ws-plugin.js"), 0);
    let (engine, exporter) = (Engine::new(), InMemorySpanExporter::default());
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    engine.register(transport_ws::plugin("published", &published.url)).unwrap();
    engine.register(transport_ipc::child("child", Program::new(IPC_PLUGIN))).unwrap();
    engine.register(Plugin::new("end").method("answer", || async { 42 })).unwrap();
    let app = engine.register(Plugin::new("app")).unwrap();
    for name in ["app", "published", "child"] {
        engine.manager().activate(name).await.unwrap();
    }
    let observing = otel::observe_with(&engine, &provider, &NoopMeterProvider::new());
    let result: i64 = app.call("published", "relay", ("child", "relay", "end", "answer")).await.unwrap();
    assert_eq!(result, 42);
    drop(observing);
    let mut spans = exporter.get_finished_spans().unwrap();
    // The published plugin announces its service.
    spans.retain(|span| span.name != "manager/updateProfile");
    let mut parent = SpanId::INVALID;
    for (name, address) in [("published/relay", true), ("child/relay", false), ("end/answer", false)] {
        for kind in [SpanKind::Client, SpanKind::Server] {
            let span = spans.iter().find(|span| span.name == name && span.span_kind == kind);
            let span = span.unwrap_or_else(|| panic!("no span {name} {kind:?}: {spans:#?}"));
            assert_eq!(span.parent_span_id, parent, "{spans:#?}");
            parent = span.span_context.span_id();
            let port = span.attributes.iter().find(|attribute| attribute.key.as_str() == "server.port");
            let port = port.map(|attribute| json!(attribute.value.to_string()));
            assert_eq!(port, address.then(|| json!(published.port().to_string())));
        }
    }
    assert_eq!(spans.len(), 6, "{spans:#?}");
    engine.shutdown().await;
}
