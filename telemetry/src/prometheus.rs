//! Metrics of each call as a text for Prometheus.
//!
//! ```
//! use connector_core::{Engine, Plugin};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let engine = Engine::new();
//! let metrics = connector_telemetry::prometheus::observe(&engine);
//! // In a server on axum: let app = axum::Router::new().merge(metrics.routes());
//!
//! engine.register(Plugin::new("calculator").method("add", |a: i64, b: i64| async move { a + b }))?;
//! let app = engine.register(Plugin::new("app"))?;
//! engine.manager().activate("app").await?;
//! app.call::<i64>("calculator", "add", (1, 2)).await?;
//! let count = r#"rpc_client_call_duration_seconds_count{rpc_system_name="plugin_connectors",rpc_method="calculator/add",rpc_status_code="ok"} 1"#;
//! assert!(metrics.render().contains(count));
//! # Ok(()) }
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use connector_core::{CallOutcome, Engine, Interests, Observation, ObservedCall, Observer, Observing};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::call::{BUCKETS, Methods, OK, OTHER, SYSTEM, method, status};

/// The text format that [`Metrics::render`] writes: OpenMetrics, which Prometheus reads.
pub const CONTENT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The durations of an engine's calls: see [`observe`]. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    registry: Arc<Registry>,
    _observing: Arc<Observing>,
}

/// Counts an engine's calls, until the returned value and its clones are dropped.
///
/// There are two histograms, `rpc_client_call_duration_seconds` and `rpc_server_call_duration_seconds`, with the labels
/// `rpc_system_name`, `rpc_method`, `rpc_status_code` and, for failed calls, `error_type`: see the [crate's](crate) table.
/// At most 10,000 methods have series of their own.
pub fn observe(engine: &Engine) -> Metrics {
    let durations = Durations::default();
    let mut registry = Registry::default();
    let (client, server) = (durations.client.clone(), durations.server.clone());
    registry.register_with_unit(
        "rpc_client_call_duration",
        "Duration of calls, as their callers see them",
        Unit::Seconds,
        client,
    );
    registry.register_with_unit("rpc_server_call_duration", "Time during which methods ran", Unit::Seconds, server);
    Metrics { registry: Arc::new(registry), _observing: Arc::new(engine.observe(durations)) }
}

impl Metrics {
    /// The text for Prometheus, of the type [`CONTENT`].
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }

    /// The route `/metrics`. It has no access control: any client that can reach it sees the names of plugins and
    /// methods.
    pub fn routes(&self) -> Router {
        let metrics = self.clone();
        Router::new().route("/metrics", get(async move || ([(CONTENT_TYPE, CONTENT)], metrics.render())))
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// A series by its labels. Its order is theirs.
type Labels = Vec<(&'static str, String)>;

struct Durations {
    client: Family<Labels, Histogram, fn() -> Histogram>,
    server: Family<Labels, Histogram, fn() -> Histogram>,
    methods: Methods,
}

impl Default for Durations {
    fn default() -> Durations {
        let histogram: fn() -> Histogram = || Histogram::new(BUCKETS);
        let family = || Family::new_with_constructor(histogram);
        Durations { client: family(), server: family(), methods: Methods::default() }
    }
}

impl Observer for Durations {
    fn interests(&self) -> Interests {
        Interests::CALL_ENDED
    }

    fn observe(&self, observation: &Observation<'_>) {
        if let Observation::CallEnded { call, waited, ran, outcome } = observation {
            self.add(call, *waited, *ran, outcome);
        }
    }
}

impl Durations {
    fn add(&self, call: &ObservedCall<'_>, waited: Duration, ran: Option<Duration>, outcome: &CallOutcome<'_>) {
        let (mut method, status) = (method(call), status(outcome));
        if !self.methods.exists(&method, ran, outcome) {
            method = OTHER.to_owned();
        }
        let mut labels = vec![
            ("rpc_system_name", SYSTEM.to_owned()),
            ("rpc_method", method),
            ("rpc_status_code", status.to_owned()),
        ];
        if status != OK {
            labels.push(("error_type", status.to_owned()));
        }
        self.client.get_or_create(&labels).observe((waited + ran.unwrap_or_default()).as_secs_f64());
        if let Some(ran) = ran {
            self.server.get_or_create(&labels).observe(ran.as_secs_f64());
        }
    }
}
