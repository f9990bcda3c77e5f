//! The source prefix of an address, to which rate limits apply.

use std::net::IpAddr;

/// The first 24 bits of an IPv4 address, or the first 48 of an IPv6 address: about as much as a
/// provider assigns to one customer. Everything in one prefix counts as one source.
///
/// The synthetic address of a peer on a line has the line in its first 48 bits
/// (`docs/spec/line.md#packets`), so that each line is a separate source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix([u8; Prefix::BYTES]);

impl Prefix {
    /// The length of [`Self::to_bytes`].
    pub const BYTES: usize = 7;

    /// Returns the prefix of an address. An IPv4-mapped IPv6 address counts as the IPv4 address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let [a, b, c, _] = v4.octets();
                Self([4, a, b, c, 0, 0, 0])
            }
            IpAddr::V6(v6) => {
                let [a, b, c, d, e, f, ..] = v6.octets();
                Self([6, a, b, c, d, e, f])
            }
        }
    }

    /// Returns the prefix as bytes, for storage.
    pub const fn to_bytes(self) -> [u8; Self::BYTES] {
        self.0
    }

    /// Returns the prefix from the bytes of [`Self::to_bytes`].
    pub const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Prefix {
        Prefix::of(text.parse().unwrap())
    }

    #[test]
    fn prefixes_are_24_and_48_bits() {
        assert_eq!(prefix("203.0.113.1"), prefix("203.0.113.254"));
        assert_eq!(prefix("203.0.113.1"), prefix("::ffff:203.0.113.2"));
        assert_ne!(prefix("203.0.113.1"), prefix("203.0.114.1"));
        assert_eq!(prefix("2001:db8:1::1"), prefix("2001:db8:1:ff::9"));
        assert_ne!(prefix("2001:db8:1::1"), prefix("2001:db8:2::1"));
        assert_ne!(prefix("127.0.0.1"), prefix("127.0.1.1"), "loopback too");
        let some = prefix("192.0.2.1");
        assert_eq!(Prefix::from_bytes(some.to_bytes()), some);
    }
}
