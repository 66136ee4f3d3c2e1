//! What counts as one address.

use std::net::{IpAddr, Ipv6Addr};

use crate::is_loopback_ip;

/// The network of an address: a single IPv4 address, or a /64 prefix, which is what one customer usually has. Unspecified
/// if the transport has no addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Network(IpAddr);

impl Network {
    pub(super) fn of(peer: Option<IpAddr>) -> Network {
        Network(match peer.map(|peer| peer.to_canonical()) {
            // Not the prefix, which loopback shares with other addresses.
            Some(v6 @ IpAddr::V6(_)) if is_loopback_ip(v6) => v6,
            Some(IpAddr::V6(v6)) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64)),
            Some(v4) => v4,
            None => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        })
    }

    /// Whether the number of its places is limited: clients on this machine share their address.
    pub(super) fn is_limited(self) -> bool {
        !self.0.is_unspecified() && !is_loopback_ip(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_of_an_address_is_its_prefix() {
        let of = |text: &str| Network::of(Some(text.parse().unwrap())).0.to_string();
        assert_eq!(of("2001:db8::1:2:3:4"), "2001:db8::");
        assert_eq!(of("2001:db8:0:1::1"), "2001:db8:0:1::");
        assert_eq!((of("::ffff:192.0.2.1"), of("192.0.2.1")), ("192.0.2.1".to_owned(), "192.0.2.1".to_owned()));
    }
}
