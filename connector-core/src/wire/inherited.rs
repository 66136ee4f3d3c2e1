//! What a request inherits from the call for which it is made.

use std::time::Duration;

use super::json::{self, Reader};
use super::{CallChain, DecodeError, Extensions, TraceContext};

/// What a request inherits from the call for which it is made (docs/protocol.md, section 6.5, 6.6 and 6.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inherited {
    /// The trace that the call belongs to.
    pub trace: Option<TraceContext>,
    /// What is left of the caller's time, in whole milliseconds on the wire.
    pub time_left: Option<Duration>,
    /// The work that it is made for, in a request to a plugin that another engine lends.
    pub chain: Option<CallChain>,
}

impl Inherited {
    /// Without what the other end of a link has not announced; `None` if nothing is left.
    pub(crate) fn restricted_to(mut self: Box<Self>, announced: Extensions) -> Option<Box<Inherited>> {
        self.trace = self.trace.filter(|_| announced.contain(Extensions::TRACE_CONTEXT));
        self.time_left = self.time_left.filter(|_| announced.contain(Extensions::DEADLINE));
        self.chain = self.chain.filter(|_| announced.contain(Extensions::CALL_CHAIN));
        (*self != Inherited::default()).then_some(self)
    }

    /// The bytes that it holds, approximately.
    pub(crate) fn held_bytes(&self) -> usize {
        let state = |trace: &TraceContext| trace.tracestate().map_or(0, str::len);
        let chain = self.chain.as_ref().map_or(0, CallChain::bytes);
        size_of::<Inherited>() + self.trace.as_ref().map_or(0, |trace| trace.traceparent().len() + state(trace)) + chain
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if let Some(trace) = &self.trace {
            out.extend_from_slice(b",\"traceparent\":");
            json::write_str(out, trace.traceparent());
            if let Some(state) = trace.tracestate() {
                out.extend_from_slice(b",\"tracestate\":");
                json::write_str(out, state);
            }
        }
        if let Some(left) = self.time_left {
            // Rounded up, so that no call ends early.
            let millis = u64::try_from(left.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
            out.extend_from_slice(b",\"timeLeft\":");
            out.extend_from_slice(millis.to_string().as_bytes());
        }
        if let Some(chain) = &self.chain {
            chain.write(out);
        }
    }
}

/// The members as they are read. Members of other types and unusable values are ignored.
#[derive(Default)]
pub(super) struct InheritedMembers {
    parent: Option<String>,
    state: Option<String>,
    time_left: Option<Duration>,
    chain: Option<CallChain>,
}

impl InheritedMembers {
    #[cold]
    pub(super) fn read(&mut self, member: &str, json: &mut Reader<'_>) -> Result<(), DecodeError> {
        match member {
            "traceparent" => self.parent = json.string(|text| text.to_owned())?.ok(),
            "tracestate" => self.state = json.string(|text| text.to_owned())?.ok(),
            "callChain" => self.chain = CallChain::read(json)?,
            _ => self.time_left = serde_json::from_str(json.raw()?).ok().and_then(duration),
        }
        Ok(())
    }

    pub(super) fn into_inherited(self) -> Option<Box<Inherited>> {
        let trace = self.parent.and_then(|parent| TraceContext::new(&parent, self.state.as_deref()));
        let inherited = Inherited { trace, time_left: self.time_left, chain: self.chain };
        (inherited != Inherited::default()).then(|| Box::new(inherited))
    }
}

/// Milliseconds that are not negative, in any notation, rounded up. In whole milliseconds, so that what is read is written again.
fn duration(millis: f64) -> Option<Duration> {
    (0.0..=u64::MAX as f64).contains(&millis).then(|| Duration::from_millis(millis.ceil() as u64))
}
