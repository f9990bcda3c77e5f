//! Initial packets: their keys, the day in the connection id, and the Retry tag
//! (docs/spec/packet.md#initial-packets).
//!
//! A party that does not know the circle and the responder's peer id can neither create nor read an
//! Initial packet. The gate in front of QUIC relies on [`opens_initial`].

use crate::circle::CircleId;
use crate::label;
use crate::packet::{DirectionKeys, SAMPLE_LEN, TAG_LEN, number_len};
use crate::peer_id::PeerId;
use crate::provider::Provider;
use crate::secret::Secret;
use subtle::ConstantTimeEq;

/// M2's version number, sent in every long header.
pub const QUIC_VERSION: u32 = 0x6d32_0001;

/// Maximum length of a connection id, and the length of the one that an initiator makes up for its
/// first packet.
pub const MAX_CID_LEN: usize = 20;

/// The keys of one connection attempt's Initial packets. Both ends derive them.
#[derive(Debug)]
pub struct InitialKeys {
    /// Protects the initiator's packets.
    pub client: DirectionKeys,
    /// Protects the responder's packets.
    pub server: DirectionKeys,
}

impl InitialKeys {
    /// Derives the keys from the circle, the destination connection id of the initiator's first
    /// packet (or of the packet that answers a Retry), the responder's peer id, and `day` in days
    /// since 1970-01-01 UTC.
    pub fn derive(
        circle: &CircleId,
        dcid: &[u8],
        responder: &PeerId,
        day: u32,
        provider: &dyn Provider,
    ) -> Self {
        let secrets = InitialSecrets::derive(circle, dcid, responder, day);
        Self {
            client: DirectionKeys::derive(&secrets.client, provider),
            server: DirectionKeys::derive(&secrets.server, provider),
        }
    }
}

/// The secrets from which [`InitialKeys`] derive.
#[derive(Debug)]
pub struct InitialSecrets {
    /// The secret of [`InitialKeys::client`].
    pub client: Secret<32>,
    /// The secret of [`InitialKeys::server`].
    pub server: Secret<32>,
}

impl InitialSecrets {
    /// Derives the secrets; see [`InitialKeys::derive`].
    pub fn derive(circle: &CircleId, dcid: &[u8], responder: &PeerId, day: u32) -> Self {
        let root: Secret<32> = label::derive(
            responder.as_bytes(),
            circle.as_bytes(),
            "initial secret",
            &[dcid, &day.to_be_bytes()],
        );
        Self {
            client: label::derive(root.expose(), &[], "initial client", &[]),
            server: label::derive(root.expose(), &[], "initial server", &[]),
        }
    }
}

/// Writes the day into the low 2 bits of the id's last byte
/// (docs/spec/packet.md#the-day-in-the-connection-id). An empty id stays empty.
pub fn stamp_day(dcid: &mut [u8], day: u32) {
    if let Some(last) = dcid.last_mut() {
        *last = (*last & !0x03) | day_bits(day);
    }
}

/// Returns the day with which a connection id was stamped, if it is yesterday, today or tomorrow.
pub fn day_from_dcid(dcid: &[u8], today: u32) -> Option<u32> {
    let stamp = dcid.last()? & 0x03;
    [Some(today), today.checked_sub(1), today.checked_add(1)]
        .into_iter()
        .flatten()
        .find(|day| day_bits(*day) == stamp)
}

fn day_bits(day: u32) -> u8 {
    // Two bits remain, so the cast loses nothing.
    (day & 0x03) as u8
}

/// Computes the tag in the last 16 bytes of a Retry packet. `packet` is everything before the tag,
/// `original_dcid` the id that the initiator had chosen.
pub fn retry_tag(
    circle: &CircleId,
    responder: &PeerId,
    original_dcid: &[u8],
    packet: &[u8],
) -> [u8; TAG_LEN] {
    let key: Secret<32> = label::derive(responder.as_bytes(), circle.as_bytes(), "retry key", &[]);
    let [tag @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] =
        label::mac(key.expose(), "retry tag", &[original_dcid, packet]);
    tag
}

/// Compares `tag` with the [`retry_tag`] of a Retry packet in constant time.
pub fn verify_retry_tag(
    circle: &CircleId,
    responder: &PeerId,
    original_dcid: &[u8],
    packet: &[u8],
    tag: &[u8],
) -> bool {
    retry_tag(circle, responder, original_dcid, packet)
        .ct_eq(tag)
        .into()
}

/// The version-independent part of a QUIC long header, which header protection does not cover
/// except for the low 4 bits of the first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LongHeader<'a> {
    /// The first byte. Its low 4 bits are masked by header protection.
    pub first: u8,
    /// The version; [`QUIC_VERSION`] in M2's packets.
    pub version: u32,
    /// Destination connection id, at most [`MAX_CID_LEN`] bytes.
    pub dcid: &'a [u8],
    /// Source connection id, at most [`MAX_CID_LEN`] bytes.
    pub scid: &'a [u8],
    /// The rest of the datagram.
    pub rest: &'a [u8],
}

impl<'a> LongHeader<'a> {
    /// Parses the start of a datagram. Returns `None` if it has no long header or is truncated.
    pub fn parse(datagram: &'a [u8]) -> Option<Self> {
        let (first, rest) = datagram.split_first()?;
        if first & 0x80 == 0 {
            return None;
        }
        let (version, rest) = rest.split_first_chunk::<4>()?;
        let (dcid, rest) = take_cid(rest)?;
        let (scid, rest) = take_cid(rest)?;
        Some(Self {
            first: *first,
            version: u32::from_be_bytes(*version),
            dcid,
            scid,
            rest,
        })
    }

    /// Returns whether this is an Initial packet of M2's version with QUIC's fixed bit set.
    pub const fn is_initial(&self) -> bool {
        self.version == QUIC_VERSION && self.first & 0x70 == 0x40
    }

    /// Returns the token of an Initial packet, which is often empty. Returns `None` for another
    /// packet, or a truncated one.
    pub fn token(&self) -> Option<&'a [u8]> {
        if !self.is_initial() {
            return None;
        }
        let (length, rest) = take_varint(self.rest)?;
        rest.get(..usize::try_from(length).ok()?)
    }

    /// Returns the bytes that follow this packet in its datagram. Returns `None` for a packet without a
    /// length (a Retry), of another version, or that does not lie inside the datagram.
    pub fn following(&self) -> Option<&'a [u8]> {
        let numbered = match self.first & 0x70 {
            0x40 => {
                let (token_len, rest) = take_varint(self.rest)?;
                rest.get(usize::try_from(token_len).ok()?..)?
            }
            0x50 | 0x60 => self.rest,
            _ => return None,
        };
        let (length, packet) = take_varint(numbered)?;
        let is_of_m2 = self.version == QUIC_VERSION;
        packet
            .get(usize::try_from(length).ok()?..)
            .filter(|_| is_of_m2)
    }

    /// Returns whether this is an Initial or Handshake packet of M2's version. Only the two ends of
    /// a handshake send these; a Retry is not one of them.
    pub const fn is_of_handshake(&self) -> bool {
        self.version == QUIC_VERSION && matches!(self.first & 0x70, 0x40 | 0x60)
    }
}

/// Returns whether the first packet of `datagram` is an Initial packet that opens under
/// `keys.client`. The datagram is not modified and can be passed on.
pub fn opens_initial(keys: &InitialKeys, datagram: &[u8]) -> bool {
    open_initial(keys, datagram).is_some()
}

/// Returns the packet number of the first packet of `datagram` if it is an Initial packet that
/// opens under `keys.client`. A retransmitted first packet has a number above 0.
pub fn open_initial(keys: &InitialKeys, datagram: &[u8]) -> Option<u64> {
    try_open(&keys.client, datagram)
}

fn try_open(keys: &DirectionKeys, datagram: &[u8]) -> Option<u64> {
    let number_at = initial_number_at(datagram)?;
    let end = number_at.end;
    let mut packet = datagram.get(..end)?.to_vec();
    keys.header.unprotect(number_at.start, &mut packet);
    let first = *packet.first()?;
    if first & 0x0c != 0 {
        return None; // Reserved bits must be zero.
    }
    let header_len = number_at.start.checked_add(number_len(first))?;
    let (header, payload) = packet.split_at_mut_checked(header_len)?;
    let number = truncated_number(header.get(number_at.start..)?);
    keys.packet.open(number, header, payload).ok()?;
    Some(number)
}

/// Returns where the packet number starts and where the packet ends, if this is an Initial packet
/// long enough for a header protection sample.
fn initial_number_at(datagram: &[u8]) -> Option<std::ops::Range<usize>> {
    let header = LongHeader::parse(datagram)?;
    if !header.is_initial() {
        return None;
    }
    let (token_len, rest) = take_varint(header.rest)?;
    let rest = rest.get(usize::try_from(token_len).ok()?..)?;
    let (length, rest) = take_varint(rest)?;
    let length = usize::try_from(length).ok()?;
    if length < 4 + SAMPLE_LEN || length > rest.len() {
        return None;
    }
    let start = datagram.len().checked_sub(rest.len())?;
    Some(start..start.checked_add(length)?)
}

/// A first packet's number needs no expansion: no earlier packet was received.
fn truncated_number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

fn take_cid(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first()?;
    let length = usize::from(*length);
    if length > MAX_CID_LEN {
        return None;
    }
    rest.split_at_checked(length)
}

/// Parses QUIC's variable-length integer (RFC 9000, section 16).
fn take_varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let length = 1_usize << (bytes.first()? >> 6);
    let (number, rest) = bytes.split_at_checked(length)?;
    let value = truncated_number(number);
    let bits = 8 * length as u32 - 2;
    Some((value & (u64::MAX >> (64 - bits)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::circle::Circle;
    use crate::provider;
    use proptest::prelude::*;

    const RESPONDER: PeerId = PeerId::from_bytes([0x22; 32]);
    const DCID: [u8; 20] = [0x41; 20];

    fn keys(dcid: &[u8], responder: &PeerId, day: u32) -> InitialKeys {
        InitialKeys::derive(
            Circle::public().id(),
            dcid,
            responder,
            day,
            provider::default(),
        )
    }

    /// Builds an Initial packet as QUIC does: two-byte length, two-byte packet number.
    fn initial(keys: &InitialKeys, dcid: &[u8], token: &[u8]) -> Vec<u8> {
        let mut packet = vec![0xc1];
        packet.extend_from_slice(&QUIC_VERSION.to_be_bytes());
        packet.push(dcid.len() as u8);
        packet.extend_from_slice(dcid);
        packet.extend_from_slice(&[4, 1, 2, 3, 4, token.len() as u8]);
        packet.extend_from_slice(token);
        let mut payload = vec![0; 1200 - packet.len() - 4 - TAG_LEN];
        let length = 2 + payload.len() + TAG_LEN;
        packet.extend_from_slice(&(0x4000 | length as u16).to_be_bytes());
        let number_at = packet.len();
        packet.extend_from_slice(&[0, 5]);
        let tag = keys.client.packet.seal(5, &packet, &mut payload);
        packet.extend_from_slice(&payload);
        packet.extend_from_slice(&tag);
        keys.client.header.protect(number_at, &mut packet);
        packet
    }

    #[test]
    fn opens_only_under_the_same_inputs() {
        let ours = keys(&DCID, &RESPONDER, 20_000);
        for token in [&b""[..], b"a token"] {
            let datagram = initial(&ours, &DCID, token);
            assert_eq!(datagram.len(), 1200);
            assert!(opens_initial(&ours, &datagram));
            let mut with_more = datagram.clone();
            with_more.extend_from_slice(&[0x5a; 40]);
            assert!(opens_initial(&ours, &with_more), "coalesced packets follow");
            let following = |bytes| LongHeader::parse(bytes).unwrap().following();
            assert_eq!(following(&datagram[..]), Some(&[][..]));
            assert_eq!(following(&with_more[..]), Some(&[0x5a; 40][..]));
            assert_eq!(following(&datagram[..1199]), None);
            let other_peer = PeerId::from_bytes([0x23; 32]);
            assert!(!opens_initial(&keys(&DCID, &other_peer, 20_000), &datagram));
            assert!(!opens_initial(&keys(&DCID, &RESPONDER, 20_001), &datagram));
            assert!(!opens_initial(
                &keys(&[0x42; 20], &RESPONDER, 20_000),
                &datagram
            ));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_rejected() {
        let ours = keys(&DCID, &RESPONDER, 20_000);
        let datagram = initial(&ours, &DCID, b"t");
        for at in (0..60).chain(1150..1200) {
            for bit in 0..8 {
                let mut altered = datagram.clone();
                altered[at] ^= 1 << bit;
                assert!(!opens_initial(&ours, &altered), "byte {at} bit {bit}");
            }
        }
        for length in 0..datagram.len() {
            assert!(!opens_initial(&ours, &datagram[..length]));
        }
    }

    #[test]
    fn the_day_is_found_around_midnight() {
        for today in [1_u32, 20_000, 20_001, 20_002, 20_003] {
            for day in [today - 1, today, today + 1] {
                let mut dcid = DCID;
                stamp_day(&mut dcid, day);
                assert_eq!(day_from_dcid(&dcid, today), Some(day));
            }
            let mut dcid = DCID;
            stamp_day(&mut dcid, today + 2);
            assert_eq!(day_from_dcid(&dcid, today), None);
        }
        assert_eq!(day_from_dcid(&[], 7), None);
        assert_eq!(day_from_dcid(&[3], 0), None);
    }

    #[test]
    fn the_version_is_not_a_reserved_one() {
        assert_ne!(QUIC_VERSION & 0x0f0f_0f0f, 0x0a0a_0a0a);
    }

    #[test]
    fn the_retry_tag_authenticates_all_inputs() {
        let circle = Circle::public();
        let other = Circle::private("x", &Secret::new([1; 32]));
        let tag = retry_tag(circle.id(), &RESPONDER, &DCID, b"packet");
        let verify = |circle: &Circle, peer: &PeerId, dcid: &[u8], packet: &[u8]| {
            verify_retry_tag(circle.id(), peer, dcid, packet, &tag)
        };
        let stranger = PeerId::from_bytes([3; 32]);
        assert!(verify(&circle, &RESPONDER, &DCID, b"packet"));
        assert!(!verify(&other, &RESPONDER, &DCID, b"packet"));
        assert!(!verify(&circle, &stranger, &DCID, b"packet"));
        assert!(!verify(&circle, &RESPONDER, &[0; 20], b"packet"));
        assert!(!verify(&circle, &RESPONDER, &DCID, b"packeT"));
        let short = &tag[..15];
        assert!(!verify_retry_tag(
            circle.id(),
            &RESPONDER,
            &DCID,
            b"packet",
            short
        ));
    }

    proptest! {
        #[test]
        fn noise_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let ours = keys(&DCID, &RESPONDER, 20_000);
            prop_assert!(!opens_initial(&ours, &bytes));
            let follow = |bytes: &[u8]| {
                LongHeader::parse(bytes).and_then(|header| header.following().map(<[u8]>::len))
            };
            prop_assert!(follow(&bytes).is_none_or(|rest| rest < bytes.len()));
            if bytes.len() > 5 {
                bytes[0] = 0xc0 | (bytes[0] & 0x0f);
                bytes[1..5].copy_from_slice(&QUIC_VERSION.to_be_bytes());
                prop_assert!(!opens_initial(&ours, &bytes));
                prop_assert!(follow(&bytes).is_none_or(|rest| rest < bytes.len()));
            }
        }
    }
}
