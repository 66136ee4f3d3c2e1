//! The names and values that both kinds of telemetry use.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use connector_core::{CallError, CallOutcome, ErrorKind, ObservedCall, Refusal};

pub(crate) const SYSTEM: &str = "plugin_connectors";
pub(crate) const OTHER: &str = "_OTHER";
/// The bounds of the histograms' buckets, in seconds.
pub(crate) const BUCKETS: [f64; 14] = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// Methods with series of their own. Plugins may change their lists of methods, so their number needs a bound.
const MAX_METHODS: usize = 10_000;

/// `plugin/method`. A service is left out: the engine does not check its name, so a caller may make it up.
pub(crate) fn method(call: &ObservedCall<'_>) -> String {
    let plugin = call.to.split_once('.').map_or(call.to, |(plugin, _)| plugin);
    format!("{plugin}/{}", call.method)
}

/// The method as the caller named it.
#[cfg(feature = "otel")]
pub(crate) fn original(call: &ObservedCall<'_>) -> String {
    format!("{}/{}", call.to, call.method)
}

/// `ok`, or the kind of failure.
pub(crate) fn status(outcome: &CallOutcome<'_>) -> &'static str {
    match outcome {
        CallOutcome::Returned(_) => OK,
        CallOutcome::Failed(error) => kind(error.kind()),
        _ => kind(ErrorKind::Cancelled),
    }
}

pub(crate) const OK: &str = "ok";

fn kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Plugin => "plugin",
        ErrorKind::BadArguments => "badArguments",
        ErrorKind::Refused => "refused",
        ErrorKind::TimedOut => "timedOut",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::LinkLost => "linkLost",
        _ => OTHER,
    }
}

/// The methods that are known to exist.
#[derive(Debug, Default)]
pub(crate) struct Methods(RwLock<HashSet<String>>);

impl Methods {
    /// Whether a call's method exists: whether it has run, now or before.
    pub(crate) fn exists(&self, method: &str, ran: Option<Duration>, outcome: &CallOutcome<'_>) -> bool {
        if self.0.read().unwrap_or_else(PoisonError::into_inner).contains(method) {
            return true;
        }
        let queued =
            matches!(outcome, CallOutcome::Failed(CallError::Refused(why)) if matches!(**why, Refusal::Busy { .. }));
        if ran.is_none() && !queued {
            return false;
        }
        let mut methods = self.0.write().unwrap_or_else(PoisonError::into_inner);
        methods.len() < MAX_METHODS && methods.insert(method.to_owned())
    }
}
