//! Spans and metrics of each call, through the OpenTelemetry API.
//!
//! The host configures the SDK and an exporter, as for any other instrumentation. One line then traces its engine:
//!
//! ```
//! use connector_core::Engine;
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! let engine = Engine::new();
//! // Uses the providers set with `opentelemetry::global`.
//! let _observing = connector_telemetry::otel::observe(&engine);
//! # }
//! ```

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connector_core::{CallOutcome, Engine, Interests, Observation, ObservedCall, Observer, Observing, TraceContext};
use opentelemetry::metrics::{Histogram, Meter, MeterProvider};
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{Span, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use url::{Host, Url};

use crate::call::{BUCKETS, Methods, OK, OTHER, SYSTEM, method, original, status};

const SCOPE: &str = "connector-telemetry";

/// Makes spans of an engine's calls, and records their durations, with the global providers, which must be set before
/// (`opentelemetry::global::set_tracer_provider`, `set_meter_provider`). Ends when the returned guard is dropped.
pub fn observe(engine: &Engine) -> Observing {
    observe_with(engine, &global::tracer_provider(), &*global::meter_provider())
}

/// Like [`observe`], with these providers.
pub fn observe_with<P>(engine: &Engine, tracers: &P, meters: &(impl MeterProvider + ?Sized)) -> Observing
where
    P: TracerProvider<Tracer: Send + Sync + 'static>,
    <P::Tracer as Tracer>::Span: Send + Sync + 'static,
{
    let meter = meters.meter(SCOPE);
    engine.observe(Telemetry {
        tracer: tracers.tracer(SCOPE),
        calls: Mutex::default(),
        methods: Methods::default(),
        client: histogram(&meter, "rpc.client.call.duration", "Duration of calls, as their callers see them"),
        server: histogram(&meter, "rpc.server.call.duration", "Time during which methods ran"),
    })
}

fn histogram(meter: &Meter, name: &'static str, about: &'static str) -> Histogram<f64> {
    meter.f64_histogram(name).with_unit("s").with_description(about).with_boundaries(BUCKETS.to_vec()).build()
}

/// The parent of spans that a method begins: the server span of its call, or whatever else the engine has named.
///
/// ```
/// use connector_core::Context;
/// use opentelemetry::global;
/// use opentelemetry::trace::{Span, Tracer};
///
/// async fn convert(ctx: Context, file: String) -> Result<(), connector_core::CallError> {
///     let parent = connector_telemetry::otel::parent(&ctx);
///     let mut span = global::tracer("converter").start_with_context("convert", &parent);
///     // …
///     span.end();
///     Ok(())
/// }
/// ```
pub fn parent(call: &connector_core::Context) -> Context {
    call.trace().map(context).unwrap_or_default()
}

/// The trace context of a span, for calls that belong to it ([`PluginClient::with_trace`]). `None` if `context`
/// has no span.
///
/// [`PluginClient::with_trace`]: connector_core::PluginClient::with_trace
pub fn trace_context(context: &Context) -> Option<TraceContext> {
    let mut fields = HashMap::new();
    TraceContextPropagator::new().inject_context(context, &mut fields);
    let state = fields.get("tracestate").filter(|state| !state.is_empty());
    TraceContext::new(fields.get("traceparent")?, state.map(String::as_str))
}

fn context(trace: &TraceContext) -> Context {
    let mut fields = HashMap::from([("traceparent".to_owned(), trace.traceparent().to_owned())]);
    if let Some(state) = trace.tracestate() {
        fields.insert("tracestate".to_owned(), state.to_owned());
    }
    TraceContextPropagator::new().extract_with_context(&Context::new(), &fields)
}

/// The context of a span of this process.
fn context_of(span: &impl Span) -> Context {
    Context::new().with_remote_span_context(span.span_context().clone())
}

struct Telemetry<T: Tracer> {
    tracer: T,
    calls: Mutex<HashMap<u64, Spans<T::Span>>>,
    methods: Methods,
    client: Histogram<f64>,
    server: Histogram<f64>,
}

/// The spans of a call that has not ended.
struct Spans<S> {
    client: S,
    /// Once it runs.
    server: Option<S>,
}

impl<T: Tracer> Telemetry<T> {
    fn calls(&self) -> MutexGuard<'_, HashMap<u64, Spans<T::Span>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn span(&self, kind: SpanKind, call: &ObservedCall<'_>, parent: &Context) -> T::Span {
        // The method follows when it is known to exist: an attribute cannot be replaced.
        let attributes =
            [KeyValue::new("rpc.system.name", SYSTEM), KeyValue::new("plugin.caller", call.from.to_owned())];
        let builder = self.tracer.span_builder(method(call)).with_kind(kind).with_attributes(attributes);
        self.tracer.build_with_context(builder, parent)
    }

    fn begin(&self, call: &ObservedCall<'_>) {
        let parent = call.trace.map(context).unwrap_or_default();
        let client = self.span(SpanKind::Client, call, &parent);
        self.calls().insert(call.number, Spans { client, server: None });
    }

    fn start(&self, call: &ObservedCall<'_>, url: Option<&str>) {
        let mut calls = self.calls();
        let Some(spans) = calls.get_mut(&call.number) else { return };
        let parent = context_of(&spans.client);
        let server = spans.server.insert(self.span(SpanKind::Server, call, &parent));
        for attribute in url.into_iter().flat_map(server_attributes) {
            spans.client.set_attribute(attribute.clone());
            server.set_attribute(attribute);
        }
    }

    fn end(&self, call: &ObservedCall<'_>, waited: Duration, ran: Option<Duration>, outcome: &CallOutcome<'_>) {
        let (mut called, status) = (method(call), status(outcome));
        if !self.methods.exists(&called, ran, outcome) {
            OTHER.clone_into(&mut called);
        }
        let original = Some(original(call)).filter(|original| *original != called);
        let mut attributes = vec![
            KeyValue::new("rpc.method", called.clone()),
            KeyValue::new("rpc.status_code", status),
            KeyValue::new("rpc.system.name", SYSTEM),
        ];
        if status != OK {
            attributes.push(KeyValue::new("error.type", status));
        }
        self.client.record((waited + ran.unwrap_or_default()).as_secs_f64(), &attributes);
        if let Some(ran) = ran {
            self.server.record(ran.as_secs_f64(), &attributes);
        }
        // Each span has it already.
        attributes.retain(|attribute| attribute.key.as_str() != "rpc.system.name");
        attributes.extend(original.map(|original| KeyValue::new("rpc.method_original", original)));
        let Some(Spans { client, server }) = self.calls().remove(&call.number) else { return };
        for mut span in server.into_iter().chain([client]) {
            span.set_attributes(attributes.iter().cloned());
            span.update_name(called.clone());
            if status != OK {
                span.set_status(Status::error(status));
            }
            span.end();
        }
    }
}

impl<T> Observer for Telemetry<T>
where
    T: Tracer<Span: Send + Sync + 'static> + Send + Sync + 'static,
{
    fn interests(&self) -> Interests {
        Interests::CALL_QUEUED | Interests::CALL_STARTED | Interests::CALL_ENDED
    }

    fn observe(&self, observation: &Observation<'_>) {
        match observation {
            Observation::CallQueued { call, .. } => self.begin(call),
            Observation::CallStarted { call, url, .. } => self.start(call, *url),
            Observation::CallEnded { call, waited, ran, outcome } => self.end(call, *waited, *ran, outcome),
            _ => {}
        }
    }

    fn trace(&self, call: &ObservedCall<'_>) -> Option<TraceContext> {
        let calls = self.calls();
        trace_context(&context_of(calls.get(&call.number)?.server.as_ref()?))
    }
}

/// Where a plugin behind a network is.
fn server_attributes(url: &str) -> Vec<KeyValue> {
    let Ok(url) = Url::parse(url) else { return Vec::new() };
    let address = match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => address.to_string(),
        Some(Host::Ipv6(address)) => address.to_string(),
        None => return Vec::new(),
    };
    let port = url.port_or_known_default().map(|port| KeyValue::new("server.port", i64::from(port)));
    [KeyValue::new("server.address", address)].into_iter().chain(port).collect()
}
