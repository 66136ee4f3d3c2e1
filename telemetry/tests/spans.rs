//! The spans of calls within one process.

use std::time::Duration;

use connector_core::{Context, Engine, Plugin, PluginClient};
use connector_telemetry::otel;
use opentelemetry::metrics::noop::NoopMeterProvider;
use opentelemetry::trace::{SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde_json::Value;

struct Traced {
    engine: Engine,
    app: PluginClient,
    exporter: InMemorySpanExporter,
    _observing: connector_core::Observing,
}

async fn traced() -> Traced {
    let engine = Engine::new();
    let first = Plugin::new("first")
        .method("relay", |ctx: Context| async move { ctx.client().call::<Value>("second", "echo", (1,)).await })
        .method("wait", std::future::pending::<()>);
    engine.register(first).unwrap();
    engine.register(Plugin::new("second").method("echo", |value: Value| async move { value })).unwrap();
    let app = engine.register(Plugin::new("app")).unwrap();
    engine.manager().activate("app").await.unwrap();
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let _observing = otel::observe_with(&engine, &provider, &NoopMeterProvider::new());
    Traced { engine, app, exporter, _observing }
}

impl Traced {
    fn spans(&self) -> Vec<SpanData> {
        let spans = self.exporter.get_finished_spans().unwrap();
        self.exporter.reset();
        spans
    }
}

fn attribute(span: &SpanData, name: &str) -> Option<String> {
    let mut found = span.attributes.iter().filter(|attribute| attribute.key.as_str() == name);
    let value = found.next().map(|found| found.value.to_string());
    assert_eq!(found.next(), None, "twice: {name}");
    value
}

fn find<'a>(spans: &'a [SpanData], name: &str, kind: SpanKind) -> &'a SpanData {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name && span.span_kind == kind).collect();
    assert_eq!(found.len(), 1, "{name} {kind:?}: {spans:#?}");
    found[0]
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_method_makes_is_a_child_of_its_server_span() {
    let host = traced().await;
    host.app.call::<Value>("first", "relay", ()).await.unwrap();
    let spans = host.spans();
    assert_eq!(spans.len(), 4, "{spans:#?}");
    let mut parent = SpanId::INVALID;
    for (name, kind) in [
        ("first/relay", SpanKind::Client),
        ("first/relay", SpanKind::Server),
        ("second/echo", SpanKind::Client),
        ("second/echo", SpanKind::Server),
    ] {
        let span = find(&spans, name, kind);
        assert_eq!(span.parent_span_id, parent, "{span:#?}");
        assert_eq!(span.span_context.trace_id(), spans[0].span_context.trace_id());
        assert_eq!(span.status, Status::Unset);
        let value = |name| attribute(span, name).unwrap();
        assert_eq!(value("rpc.system.name"), "plugin_connectors");
        assert_eq!((value("rpc.method"), value("rpc.status_code")), (name.to_owned(), "ok".to_owned()));
        assert_eq!((attribute(span, "error.type"), attribute(span, "rpc.method_original")), (None, None));
        parent = span.span_context.span_id();
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_says_how_it_failed() {
    let host = traced().await;
    let second = Duration::from_secs(1);
    host.app.call_within::<Value>(second, "first", "wait", ()).await.unwrap_err();
    host.app.call::<Value>("nobody.inner", "x", ()).await.unwrap_err();
    drop(tokio::time::timeout(second, host.app.call::<Value>("first", "wait", ())).await);
    host.engine.shutdown().await;
    let spans = host.spans();
    let all: Vec<_> = spans
        .iter()
        .map(|span| {
            let status = attribute(span, "rpc.status_code").unwrap();
            assert_eq!(span.status, Status::error(status.clone()));
            assert_eq!(attribute(span, "error.type").as_ref(), Some(&status));
            (&*span.name, span.span_kind.clone(), status, attribute(span, "rpc.method_original").unwrap_or_default())
        })
        .collect();
    let expected = [
        ("first/wait", SpanKind::Server, "timedOut", ""),
        ("first/wait", SpanKind::Client, "timedOut", ""),
        ("_OTHER", SpanKind::Client, "refused", "nobody.inner/x"),
        ("first/wait", SpanKind::Server, "cancelled", ""),
        ("first/wait", SpanKind::Client, "cancelled", ""),
    ];
    let expected = expected.map(|(name, kind, status, original)| (name, kind, status.to_owned(), original.to_owned()));
    assert_eq!(all, expected);
}

#[tokio::test(start_paused = true)]
async fn a_name_of_a_million_characters_is_cut() {
    let host = traced().await;
    host.app.call::<Value>("first", &"x".repeat(1_000_000), ()).await.unwrap_err();
    let spans = host.spans();
    let original = attribute(find(&spans, "_OTHER", SpanKind::Client), "rpc.method_original").unwrap();
    assert!(original.starts_with("first/xxx") && original.len() < 1100, "{} bytes", original.len());
}
