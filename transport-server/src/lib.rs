//! What the TCP servers of plugins share, whatever protocol they speak above TCP.
//!
//! - [`Listener`] binds an address under the loopback rule, and accepts connections with a back-off. [`BindError`] says
//!   why an address cannot be bound, and what to do.
//! - [`AllowedOrigins`] keeps web pages out, and [`token_matches`] checks a token in constant time. [`RefusalTexts`] has
//!   the texts with which a connection is refused.
//! - [`Admission`] limits connections, and keeps those that prove nothing, and those of one address, from occupying the
//!   places of others.
//!
//! `transport-ws` and `transport-socketio` are built on this crate and re-export [`BindError`]. Plugins and hosts do not
//! need it.

mod admission;
mod bind;
mod listener;
mod origins;
mod refusal_texts;

use std::net::{IpAddr, SocketAddr};

use subtle::ConstantTimeEq;

pub use admission::{Admission, MAX_PENDING_BYTES, NoPlace, Ticket};
pub use bind::BindError;
pub use listener::Listener;
pub use origins::{AllowedOrigins, header_excerpt};
pub use refusal_texts::RefusalTexts;

/// Whether only this machine reaches `addr`. An IPv4 address inside an IPv6 address counts as that IPv4 address.
pub fn is_loopback(addr: SocketAddr) -> bool {
    is_loopback_ip(addr.ip())
}

fn is_loopback_ip(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

/// Whether a client has sent the `expected` token. Takes the same time wherever the two differ.
pub fn token_matches(expected: &str, sent: &[u8]) -> bool {
    sent.ct_eq(expected.as_bytes()).into()
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_matches_only_as_a_whole() {
        assert!(token_matches("s3cret", b"s3cret"));
        for wrong in ["", "s3cre", "s3cret ", "S3cret"] {
            assert!(!token_matches("s3cret", wrong.as_bytes()), "{wrong}");
        }
    }

    #[test]
    fn a_mapped_loopback_address_is_loopback() {
        for (addr, expected) in
            [("127.0.0.1:1", true), ("[::1]:1", true), ("[::ffff:127.0.0.1]:1", true), ("192.0.2.1:1", false)]
        {
            assert_eq!(is_loopback(addr.parse().unwrap()), expected, "{addr}");
        }
    }
}
