//! The names of the protocol extensions that the ends announce to each other in a handshake. `message_json.rs` reads and writes
//! their members.

use std::fmt;
use std::ops::BitOr;

use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::id::display_json;

/// Protocol extensions that two native peers announce in their handshakes (docs/protocol.md, section 6.1). A published
/// peer ignores the field and announces nothing.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Extensions(u8);

impl Extensions {
    /// `cancel` with an `id` cancels that one call, in both directions.
    pub const CANCEL_BY_ID: Extensions = Extensions(1 << 0);
    /// A failed response names the kind of its error in `errorKind`.
    pub const ERROR_KIND: Extensions = Extensions(1 << 1);
    /// A request carries the trace that it belongs to, in `traceparent` and `tracestate`.
    pub const TRACE_CONTEXT: Extensions = Extensions(1 << 2);
    /// A request carries what is left of its caller's time, in `timeLeft`.
    pub const DEADLINE: Extensions = Extensions(1 << 3);
    /// A plugin that is stopping says so in a handshake message, `draining`, and the engine sends it no more requests.
    pub const DRAINING: Extensions = Extensions(1 << 4);
    /// A request carries the work that it is made for, in `callChain`. Only a plugin's end announces it, if the plugin is
    /// lent by another engine.
    pub const CALL_CHAIN: Extensions = Extensions(1 << 5);
    /// The engine tells which events are listened to, with `on` and `off`. Only a plugin's end announces it, if the plugin
    /// is lent by another engine.
    pub const LISTENERS: Extensions = Extensions(1 << 6);

    /// The extensions that every end of this version announces.
    pub const NATIVE: Extensions = Extensions(
        Self::CANCEL_BY_ID.0 | Self::ERROR_KIND.0 | Self::TRACE_CONTEXT.0 | Self::DEADLINE.0 | Self::DRAINING.0,
    );
    /// Those that the end of a lent plugin announces.
    pub(crate) const LENT: Extensions = Extensions(Self::NATIVE.0 | Self::CALL_CHAIN.0 | Self::LISTENERS.0);

    const NAMES: [(Extensions, &str); 7] = [
        (Self::CANCEL_BY_ID, "cancelById"),
        (Self::ERROR_KIND, "errorKind"),
        (Self::TRACE_CONTEXT, "traceContext"),
        (Self::DEADLINE, "deadline"),
        (Self::DRAINING, "draining"),
        (Self::CALL_CHAIN, "callChain"),
        (Self::LISTENERS, "listeners"),
    ];

    /// Whether all of these are among them.
    pub const fn contain(self, those: Extensions) -> bool {
        self.0 & those.0 == those.0
    }

    /// Whether the peer's end is that of a lent plugin.
    pub(crate) const fn is_lent(self) -> bool {
        self.contain(Extensions(Self::CALL_CHAIN.0 | Self::LISTENERS.0))
    }

    pub(crate) const fn without(self, those: Extensions) -> Extensions {
        Extensions(self.0 & !those.0)
    }

    fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(extension, _)| self.contain(*extension)).map(|(_, name)| name)
    }

    /// A peer that uses the field differently announces no extensions. Unknown names belong to later versions.
    pub(super) fn read(json: &str) -> Extensions {
        let names: Vec<&RawValue> = serde_json::from_str(json).unwrap_or_default();
        let has =
            |wanted: &str| names.iter().any(|name| display_json(name.get()) == wanted && name.get().starts_with('"'));
        let known = Self::NAMES.into_iter().filter(|(_, name)| has(name));
        known.fold(Extensions::default(), |all, (extension, _)| all | extension)
    }
}

/// All of both.
impl BitOr for Extensions {
    type Output = Extensions;

    fn bitor(self, other: Extensions) -> Extensions {
        Extensions(self.0 | other.0)
    }
}

/// A list of names.
impl Serialize for Extensions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
