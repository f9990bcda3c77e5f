//! Random bytes behind the packets of a handshake, so that the datagrams at the start of a session
//! have no typical sizes (docs/spec/obfuscation.md#sizes-at-the-start).

use m2_crypto::initial::LongHeader;
use m2_crypto::obfuscation::IV_BYTES;

/// The largest size of a padded datagram, in bytes: most paths carry it.
pub(crate) const LARGEST: usize = 1_350;
/// The largest size once a datagram may be a retransmission: every path of IPv6 carries it.
const LARGEST_LATER: usize = 1_232;
/// Datagrams that are sent within this time of the first one are taken for its first transmission.
const FIRST_TRANSMISSION_MS: u64 = 100;
/// The shortest padding. Its first byte must not lie in the IV, which is sent in clear.
pub(crate) const SHORTEST: usize = IV_BYTES + 1;
/// The bit of QUIC that is clear in the first byte of the padding, so that no packet begins there.
pub(crate) const FIXED_BIT: u8 = 0x40;

/// Returns whether a datagram of a handshake may be as large as a first transmission, `age_ms` after
/// the first one.
pub(crate) const fn is_first_transmission(age_ms: u64) -> bool {
    age_ms < FIRST_TRANSMISSION_MS
}

/// Returns the largest size of a padded datagram on a network path.
pub(crate) const fn largest(is_first_transmission: bool) -> usize {
    if is_first_transmission {
        LARGEST
    } else {
        LARGEST_LATER
    }
}

/// Returns whether random bytes may follow the packets of a datagram: its last packet has a long
/// header with a length.
pub(crate) fn may_follow(datagram: &[u8]) -> bool {
    let mut rest = datagram;
    while let Some(header) = LongHeader::parse(rest) {
        match header.following() {
            Some([]) => return true,
            Some(following) => rest = following,
            None => return false,
        }
    }
    false
}

/// Returns the number of random bytes behind a datagram of `length` bytes, from a random number. All
/// sizes from its own to `largest` that the padding can have are equally probable.
pub(crate) fn length(length: usize, largest: usize, random: u32) -> usize {
    let Some(choices) = largest.checked_sub(length + SHORTEST) else {
        return 0;
    };
    // The padded sizes, and the datagram's own.
    let sizes = choices as u64 + 2;
    let choice = (u64::from(random) * sizes) >> u32::BITS;
    match usize::try_from(choice).unwrap_or(0) {
        0 => 0,
        n => SHORTEST + n - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m2_crypto::initial::QUIC_VERSION;
    use std::collections::BTreeMap;

    const INITIAL: u8 = 0xc0;
    const HANDSHAKE: u8 = 0xe0;
    const RETRY: u8 = 0xf0;

    fn long(first: u8, payload: usize) -> Vec<u8> {
        let mut packet = vec![first];
        packet.extend_from_slice(&QUIC_VERSION.to_be_bytes());
        packet.extend_from_slice(&[2, 1, 2, 1, 3]);
        if first == INITIAL {
            packet.extend_from_slice(&[3, 7, 7, 7]);
        }
        if first != RETRY {
            packet.extend_from_slice(&(0x4000 | payload as u16).to_be_bytes());
        }
        packet.resize(packet.len() + payload, 9);
        packet
    }

    #[test]
    fn only_a_packet_with_a_length_may_be_followed() {
        let short = vec![0x41; 50];
        for last in [INITIAL, HANDSHAKE] {
            assert!(may_follow(&long(last, 100)));
            assert!(may_follow(&[long(INITIAL, 90), long(last, 100)].concat()));
            assert!(!may_follow(&[long(last, 100), short.clone()].concat()));
            assert!(!may_follow(&long(last, 100)[..100]), "truncated");
        }
        assert!(!may_follow(&long(RETRY, 100)));
        assert!(!may_follow(&short));
        assert!(!may_follow(&[]));
    }

    #[test]
    fn all_sizes_are_equally_probable() {
        let mut sizes = BTreeMap::<usize, u32>::new();
        let draws = 1 << 16;
        for n in 0..draws {
            *sizes
                .entry(1_200 + length(1_200, LARGEST, n << 16))
                .or_default() += 1;
        }
        assert_eq!(sizes.keys().next(), Some(&1_200));
        assert_eq!(sizes.keys().nth(1), Some(&1_217));
        assert_eq!(sizes.keys().last(), Some(&LARGEST));
        let share = draws / sizes.len() as u32;
        assert_eq!(sizes.len(), 1 + LARGEST - 1_217 + 1);
        assert!(sizes.values().all(|count| count.abs_diff(share) <= 1));
    }

    #[test]
    fn there_are_none_or_at_least_seventeen_bytes() {
        assert_eq!(length(1_200, 1_199, u32::MAX), 0);
        assert_eq!(length(1_200, 1_216, u32::MAX), 0);
        assert_eq!(length(1_200, 1_217, u32::MAX), 17);
        assert_eq!(length(1_200, 1_217, 0), 0);
        assert_eq!(length(1_200, 1_218, u32::MAX), 18);
    }
}
