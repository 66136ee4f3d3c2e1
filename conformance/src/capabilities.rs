//! What a transport promises, and what a fixture can do.

use std::time::Duration;

#[cfg(doc)]
use crate::fixture::Control;
#[cfg(doc)]
use connector_core::{Link, LinkEnd};

/// What a transport can do and what it promises beyond the contract of [`Link`]. The default is a text transport that
/// several engines can dial again and again, with a fixture that cannot break links.
///
/// ```
/// use conformance::Capabilities;
///
/// let capabilities = Capabilities::default().max_message(16 << 20).cut().stall();
/// assert!(capabilities.cut && capabilities.text);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Payloads arrive as the same JSON text, to the byte (apart from whitespace between tokens). Without it the
    /// transport moves values, and cases that only text can express are skipped. Default true.
    pub text: bool,
    /// The largest message, in bytes of JSON, that is guaranteed to arrive. Default 1 MiB.
    pub max_message: usize,
    /// The most messages that a link may accept before it pushes back on a sender whose other end does not read,
    /// including the system's buffers. Default 1,000,000.
    pub max_unread: usize,
    /// The same in bytes. Default 64 MiB.
    pub max_unread_bytes: usize,
    /// A plugin's end returns another link after the first has ended. Default true.
    pub reconnect: bool,
    /// Several engines can be connected to one plugin's end at once. Default true.
    pub multiple_engines: bool,
    /// A cut is never reported as [`LinkEnd::Closed`]. `false` for a transport where both look like the end of a stream. (A
    /// graceful close is always reported as `Closed`.) Default true.
    pub distinguishes_loss: bool,
    /// A frame that is not a message is returned as an error in its position, and the link stays up. Default true.
    pub bad_frames: bool,
    /// The fixture can break links: [`Control::cut`]. Default false.
    pub cut: bool,
    /// The fixture can stall links: [`Control::stall`]. Default false.
    pub stall: bool,
    /// The fixture can forge frames: [`Control::inject`]. Default false.
    pub inject: bool,
    /// The fixture can forge bytes: [`Control::inject_raw`]. Default false.
    pub inject_raw: bool,
    /// The fixture can open idle connections: [`Control::connect_idle`]. Default false.
    pub idle_connections: bool,
    /// The fixture can count open connections: [`Control::open_connections`]. Default false.
    pub count_connections: bool,
    /// A stalled link ends on its own within this time, as [`LinkEnd::Silent`], and declares so in
    /// [`Link::notices_silence`]. Default none: the link does not end, and the engine detects silence.
    pub silence: Option<Duration>,
    /// How long a message and its answer take at least, for a fixture that delays them. Default zero. A case that waits for
    /// one answer after the other then makes fewer rounds.
    pub round_trip: Duration,
    /// How long a case waits for any one step before it fails. Default 30 s, which allows for slow machines.
    pub timeout: Duration,
}

impl Default for Capabilities {
    fn default() -> Capabilities {
        Capabilities {
            text: true,
            max_message: 1 << 20,
            max_unread: 1_000_000,
            max_unread_bytes: 64 << 20,
            reconnect: true,
            multiple_engines: true,
            distinguishes_loss: true,
            bad_frames: true,
            cut: false,
            stall: false,
            inject: false,
            inject_raw: false,
            idle_connections: false,
            count_connections: false,
            silence: None,
            round_trip: Duration::ZERO,
            timeout: Duration::from_secs(30),
        }
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty)?) => $value:expr;)*) => {
        impl Capabilities {
            $($(#[$doc])*
            #[must_use]
            pub fn $name(mut self $(, $argument: $type)?) -> Capabilities {
                self.$name = $value;
                self
            })*
        }
    };
}

setters! {
    /// Sets [`text`](Capabilities::text).
    text(yes: bool) => yes;
    /// Sets [`max_message`](Capabilities::max_message).
    max_message(bytes: usize) => bytes;
    /// Sets [`max_unread`](Capabilities::max_unread).
    max_unread(messages: usize) => messages;
    /// Sets [`max_unread_bytes`](Capabilities::max_unread_bytes).
    max_unread_bytes(bytes: usize) => bytes;
    /// Sets [`reconnect`](Capabilities::reconnect).
    reconnect(yes: bool) => yes;
    /// Sets [`multiple_engines`](Capabilities::multiple_engines).
    multiple_engines(yes: bool) => yes;
    /// Sets [`distinguishes_loss`](Capabilities::distinguishes_loss).
    distinguishes_loss(yes: bool) => yes;
    /// Sets [`bad_frames`](Capabilities::bad_frames).
    bad_frames(yes: bool) => yes;
    /// Declares [`cut`](Capabilities::cut).
    cut() => true;
    /// Declares [`stall`](Capabilities::stall).
    stall() => true;
    /// Declares [`inject`](Capabilities::inject).
    inject() => true;
    /// Declares [`inject_raw`](Capabilities::inject_raw).
    inject_raw() => true;
    /// Declares [`idle_connections`](Capabilities::idle_connections).
    idle_connections() => true;
    /// Declares [`count_connections`](Capabilities::count_connections).
    count_connections() => true;
    /// Declares [`silence`](Capabilities::silence).
    silence(within: Duration) => Some(within);
    /// Sets [`round_trip`](Capabilities::round_trip).
    round_trip(least: Duration) => least;
    /// Sets [`timeout`](Capabilities::timeout).
    timeout(limit: Duration) => limit;
}

impl Capabilities {
    /// How often a case waits for an answer before it continues: as often as it asks for, unless that takes longer than five
    /// seconds because of [`round_trip`](Capabilities::round_trip).
    pub(super) fn rounds(&self, wanted: i64) -> i64 {
        const LONGEST: Duration = Duration::from_secs(5);
        match LONGEST.as_micros().checked_div(self.round_trip.as_micros()) {
            Some(most) => wanted.min(i64::try_from(most).unwrap_or(i64::MAX).max(1)),
            None => wanted,
        }
    }
}

/// A capability that a case requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Need {
    /// [`Capabilities::text`].
    Text,
    /// [`Capabilities::reconnect`].
    Reconnect,
    /// [`Capabilities::multiple_engines`].
    MultipleEngines,
    /// [`Capabilities::distinguishes_loss`].
    DistinguishesLoss,
    /// [`Capabilities::bad_frames`].
    BadFrames,
    /// [`Capabilities::cut`].
    Cut,
    /// [`Capabilities::stall`].
    Stall,
    /// [`Capabilities::inject`].
    Inject,
    /// [`Capabilities::inject_raw`].
    InjectRaw,
    /// [`Capabilities::idle_connections`].
    IdleConnections,
    /// [`Capabilities::count_connections`].
    CountConnections,
    /// [`Capabilities::silence`].
    Silence,
}

impl Need {
    /// All of them.
    pub const ALL: &[Need] = &[
        Need::Text,
        Need::Reconnect,
        Need::MultipleEngines,
        Need::DistinguishesLoss,
        Need::BadFrames,
        Need::Cut,
        Need::Stall,
        Need::Inject,
        Need::InjectRaw,
        Need::IdleConnections,
        Need::CountConnections,
        Need::Silence,
    ];

    /// Why a case is skipped if this need is not met.
    pub(super) fn unmet(self, has: &Capabilities) -> Option<&'static str> {
        let (met, why) = match self {
            Need::Text => (has.text, "it moves values, not text"),
            Need::Reconnect => (has.reconnect, "its plugin's end returns only one link"),
            Need::MultipleEngines => (has.multiple_engines, "its plugin's end serves only one engine"),
            Need::DistinguishesLoss => (has.distinguishes_loss, "it does not distinguish a close from a loss"),
            Need::BadFrames => (has.bad_frames, "a bad frame ends its links"),
            Need::Cut => (has.cut, "its fixture cannot cut links"),
            Need::Stall => (has.stall, "its fixture cannot stall links"),
            Need::Inject => (has.inject, "its fixture cannot forge frames"),
            Need::InjectRaw => (has.inject_raw, "its fixture cannot forge bytes"),
            Need::IdleConnections => (has.idle_connections, "its fixture cannot open idle connections"),
            Need::CountConnections => (has.count_connections, "its fixture cannot count open connections"),
            Need::Silence => (has.silence.is_some(), "it does not detect silence"),
        };
        (!met).then_some(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_link_makes_fewer_rounds_and_a_fast_one_all() {
        let rounds = |ms| Capabilities::default().round_trip(Duration::from_millis(ms)).rounds(1000);
        assert_eq!([0, 1, 5, 100, 60_000].map(rounds), [1000, 1000, 1000, 50, 1]);
    }
}
