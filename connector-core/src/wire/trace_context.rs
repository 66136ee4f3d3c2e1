//! The trace that a call belongs to, as W3C Trace Context writes it.

/// The trace that a call belongs to: the two fields of [W3C Trace Context](https://www.w3.org/TR/trace-context/).
///
/// They are opaque here: an engine and its plugins pass them on, and only a tracing library reads them. A method gets its
/// call's from [`Context::trace`](crate::Context::trace); calls through [`Context::client`](crate::Context::client) belong
/// to the same trace.
///
/// ```
/// use connector_core::TraceContext;
///
/// let trace = TraceContext::new("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("vendor=1"));
/// assert_eq!(trace.and_then(|trace| trace.tracestate().map(str::to_owned)).as_deref(), Some("vendor=1"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    parent: Box<str>,
    state: Option<Box<str>>,
}

impl TraceContext {
    /// The longest `traceparent`, in bytes; version 00 has 55.
    pub const MAX_PARENT: usize = 128;
    /// The longest `tracestate`, in bytes.
    pub const MAX_STATE: usize = 512;

    /// A trace context. An unusable `tracestate` (longer than [`MAX_STATE`](Self::MAX_STATE), or with characters other than
    /// printable ASCII) is left out, as the recommendation allows.
    ///
    /// Returns `None` if `traceparent` is empty, longer than [`MAX_PARENT`](Self::MAX_PARENT), or has other characters than
    /// letters, digits and hyphens.
    pub fn new(traceparent: &str, tracestate: Option<&str>) -> Option<TraceContext> {
        let state = tracestate.filter(|state| is_state(state)).map(Box::from);
        is_parent(traceparent).then(|| TraceContext { parent: traceparent.into(), state })
    }

    /// The trace, the calling span and the trace's flags.
    pub fn traceparent(&self) -> &str {
        &self.parent
    }

    /// What tracing systems add to it.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_deref()
    }
}

fn is_parent(text: &str) -> bool {
    (1..=TraceContext::MAX_PARENT).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn is_state(text: &str) -> bool {
    (1..=TraceContext::MAX_STATE).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}
