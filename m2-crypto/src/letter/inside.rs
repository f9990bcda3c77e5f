//! The layout of a letter that its receiver alone sees (docs/spec/letter.md#inside).

use super::header::LetterHeader;
use super::outside::{LETTER_SIZES, MAX_LETTER_PAYLOAD, OUTSIDE_BYTES};
use crate::certificate::MODULUS_BYTES;
use crate::reader::Reader;
use zeroize::Zeroizing;

/// Bytes of the inside in addition to payload and padding.
pub(super) const INSIDE_BYTES: usize = LetterHeader::BYTES + MODULUS_BYTES + 4;

/// Header ‖ signature ‖ length of the payload ‖ payload ‖ zeros.
pub(super) struct Inside<'a> {
    /// The fields that the sender signs.
    pub(super) header: LetterHeader,
    /// The sender's signature.
    pub(super) signature: &'a [u8],
    /// The message.
    pub(super) payload: &'a [u8],
}

impl<'a> Inside<'a> {
    /// Parses an inside. Returns `None` for another version, a payload that is too long, and padding
    /// that is not zeros.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let header = LetterHeader::read(&mut reader)?;
        let signature = reader.slice(MODULUS_BYTES)?;
        let length = usize::try_from(reader.u32()?).ok()?;
        if length > MAX_LETTER_PAYLOAD {
            return None;
        }
        let payload = reader.slice(length)?;
        let padding_ok = reader.rest().iter().all(|byte| *byte == 0);
        padding_ok.then_some(Self {
            header,
            signature,
            payload,
        })
    }

    /// Encodes an inside for the smallest letter that holds it. Returns `None` if the payload is too
    /// long.
    pub(super) fn encode(&self) -> Option<Zeroizing<Vec<u8>>> {
        if self.payload.len() > MAX_LETTER_PAYLOAD {
            return None;
        }
        let needed = OUTSIDE_BYTES + INSIDE_BYTES + self.payload.len();
        let size = LETTER_SIZES.into_iter().find(|size| *size >= needed)?;
        // The whole capacity at once: growing would leave copies of the payload in memory.
        let mut out = Zeroizing::new(Vec::with_capacity(size));
        self.header.write(&mut out);
        out.extend_from_slice(self.signature);
        let length = u32::try_from(self.payload.len()).ok()?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(self.payload);
        out.resize(size - OUTSIDE_BYTES, 0);
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer_id::PeerId;
    use proptest::prelude::*;

    const SIGNATURE: [u8; MODULUS_BYTES] = [7; MODULUS_BYTES];

    fn encode(payload: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let header = LetterHeader {
            sender: PeerId::from_bytes([1; 32]),
            incarnation: 2,
            created_s: 3,
            oldest: 4,
            message_id: [5; 16],
        };
        let signature = &SIGNATURE;
        Inside {
            header,
            signature,
            payload,
        }
        .encode()
    }

    proptest! {
        #[test]
        fn an_inside_survives_encoding(payload in proptest::collection::vec(any::<u8>(), 0..9_000)) {
            let bytes = encode(&payload).unwrap();
            let read = Inside::parse(&bytes).unwrap();
            prop_assert_eq!(read.payload, payload.as_slice());
            prop_assert_eq!(read.signature, &SIGNATURE);
            prop_assert_eq!(read.encode(), Some(bytes.clone()));
        }

        #[test]
        fn any_bytes_parse_or_are_rejected(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..2_000),
            length in 0_u32..2_000,
            zeros in 0_usize..2_000,
        ) {
            bytes.extend(vec![0; zeros]);
            // Mostly past the version and into the padding.
            if let Some(version) = bytes.first_mut() {
                *version = 2;
            }
            if let Some(field) = bytes.get_mut(INSIDE_BYTES - 4..INSIDE_BYTES) {
                field.copy_from_slice(&length.to_be_bytes());
            }
            let expected = bytes.get(INSIDE_BYTES..).and_then(|rest| rest.split_at_checked(length as usize));
            let expected = expected.filter(|(_, padding)| padding.iter().all(|byte| *byte == 0));
            let read = Inside::parse(&bytes).map(|inside| inside.payload);
            prop_assert_eq!(read, expected.map(|(payload, _)| payload));
        }

        #[test]
        fn a_spoiled_inside_is_rejected(at in 1_000_usize..2_000, byte in 1_u8..) {
            let mut bytes = encode(b"text").unwrap();
            bytes[at] = byte;
            prop_assert!(Inside::parse(&bytes).is_none());
            bytes[at] = 0;
            bytes[0] = byte.wrapping_add(2);
            prop_assert!(Inside::parse(&bytes).is_none());
        }
    }

    #[test]
    fn payloads_have_a_maximum() {
        let most = encode(&vec![0; MAX_LETTER_PAYLOAD]).unwrap();
        assert!(Inside::parse(&most).is_some());
        assert_eq!(encode(&vec![0; MAX_LETTER_PAYLOAD + 1]), None);
        let mut longer = most;
        let length = u32::try_from(MAX_LETTER_PAYLOAD + 1).unwrap();
        longer[INSIDE_BYTES - 4..INSIDE_BYTES].copy_from_slice(&length.to_be_bytes());
        assert!(Inside::parse(&longer).is_none());
    }
}
