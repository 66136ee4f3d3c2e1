//! The names of the protocol extensions that the ends announce to each other in a handshake. `message_json.rs` reads and writes
//! their members.

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::id::display_json;

/// Protocol extensions that two native peers announce in their handshakes (docs/protocol.md, section 6.1). A published
/// peer ignores the field and announces nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extensions {
    /// `cancel` with an `id` cancels that one call, in both directions.
    pub cancel_by_id: bool,
    /// A failed response names the kind of its error in `errorKind`.
    pub error_kind: bool,
    /// A request carries the trace that it belongs to, in `traceparent` and `tracestate`.
    pub trace_context: bool,
    /// A request carries what is left of its caller's time, in `timeLeft`.
    pub deadline: bool,
    /// A plugin that is stopping says so in a handshake message, `draining`, and the engine sends it no more requests.
    pub draining: bool,
    /// A request carries the work that it is made for, in `callChain`. Only a plugin's end announces it, if the plugin is
    /// lent by another engine.
    pub call_chain: bool,
    /// The engine tells which events are listened to, with `on` and `off`. Only a plugin's end announces it, if the plugin
    /// is lent by another engine.
    pub listeners: bool,
}

impl Extensions {
    /// The extensions that every end of this version announces.
    pub const NATIVE: Extensions = Extensions {
        cancel_by_id: true,
        error_kind: true,
        trace_context: true,
        deadline: true,
        draining: true,
        call_chain: false,
        listeners: false,
    };
    /// Those that the end of a lent plugin announces.
    pub(crate) const LENT: Extensions = Extensions { call_chain: true, listeners: true, ..Extensions::NATIVE };
}

const CANCEL_BY_ID: &str = "cancelById";
const ERROR_KIND: &str = "errorKind";
const TRACE_CONTEXT: &str = "traceContext";
const DEADLINE: &str = "deadline";
const DRAINING: &str = "draining";
const CALL_CHAIN: &str = "callChain";
const LISTENERS: &str = "listeners";

/// A list of names. Unknown names belong to later versions.
impl Serialize for Extensions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let known = [
            (self.cancel_by_id, CANCEL_BY_ID),
            (self.error_kind, ERROR_KIND),
            (self.trace_context, TRACE_CONTEXT),
            (self.deadline, DEADLINE),
            (self.draining, DRAINING),
            (self.call_chain, CALL_CHAIN),
            (self.listeners, LISTENERS),
        ];
        serializer.collect_seq(known.iter().filter(|(on, _)| *on).map(|(_, name)| name))
    }
}

impl Extensions {
    /// A peer that uses the field differently announces no extensions.
    pub(super) fn read(json: &str) -> Extensions {
        let names: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
        let has =
            |wanted: &str| names.iter().any(|name| display_json(name.get()) == wanted && name.get().starts_with('"'));
        Extensions {
            cancel_by_id: has(CANCEL_BY_ID),
            error_kind: has(ERROR_KIND),
            trace_context: has(TRACE_CONTEXT),
            deadline: has(DEADLINE),
            draining: has(DRAINING),
            call_chain: has(CALL_CHAIN),
            listeners: has(LISTENERS),
        }
    }
}
