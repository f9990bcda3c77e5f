//! The binary encoding of an invitation (docs/spec/identity.md#invitations).

use super::{Invitation, InvitationError, MAX_ADDRESSES, MAX_LINE_BYTES, MAX_LINES, Offer};
use crate::address::{self, NamedAddress};
use crate::label;
use crate::peer_id::PeerId;
use crate::reader::Reader;
use crate::secret::Secret;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const FLAG_REUSABLE: u8 = 1;
const CHECKSUM_BYTES: usize = 4;
/// Length of the longest encoding. With this capacity the buffer never reallocates, so no copy of
/// the secrets is left behind.
const MAX_BYTES: usize = 1
    + 1
    + 32
    + 8
    + 16
    + 32
    + 8
    + 1
    + MAX_ADDRESSES * address::MAX_BYTES
    + 1
    + MAX_LINES * (1 + MAX_LINE_BYTES)
    + 4;

impl Invitation {
    pub(super) fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut out = Zeroizing::new(Vec::with_capacity(MAX_BYTES));
        out.push(VERSION);
        out.push(if self.offer.reusable {
            FLAG_REUSABLE
        } else {
            0
        });
        out.extend_from_slice(self.peer.as_bytes());
        out.extend_from_slice(&self.circle_hint);
        out.extend_from_slice(self.token.expose());
        out.extend_from_slice(&self.record_key);
        out.extend_from_slice(&self.offer.expires_s.to_be_bytes());
        // Counts and lengths fit in a byte: `within_limits` was checked on creation and parsing.
        out.push(self.offer.addresses.len() as u8);
        for address in &self.offer.addresses {
            address::write(&mut out, address);
        }
        out.push(self.offer.lines.len() as u8);
        for line in &self.offer.lines {
            out.push(line.len() as u8);
            out.extend_from_slice(line);
        }
        let checksum = checksum(&out);
        out.extend_from_slice(&checksum);
        out
    }

    /// Parses the encoding. The checksum is verified first. Its place is the same in every version,
    /// so that a typing error is not reported as a newer version.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, InvitationError> {
        let (version, rest) = bytes
            .split_last_chunk()
            .filter(|(body, sum)| checksum(body) == **sum)
            .and_then(|(body, _)| body.split_first())
            .ok_or(InvitationError::Malformed)?;
        if *version != VERSION {
            return Err(InvitationError::UnknownVersion);
        }
        read(rest).ok_or(InvitationError::Malformed)
    }
}

pub(super) fn within_limits(offer: &Offer) -> bool {
    offer.addresses.len() <= MAX_ADDRESSES
        && offer.addresses.iter().all(NamedAddress::has_port)
        && offer.lines.len() <= MAX_LINES
        && offer
            .lines
            .iter()
            .all(|line| (1..=MAX_LINE_BYTES).contains(&line.len()))
}

fn read(bytes: &[u8]) -> Option<Invitation> {
    let mut reader = Reader::new(bytes);
    let flags = reader.u8().filter(|flags| flags & !FLAG_REUSABLE == 0)?;
    let invitation = Invitation {
        peer: PeerId::from_bytes(reader.array()?),
        circle_hint: reader.array()?,
        token: Secret::new(reader.array()?),
        record_key: reader.array()?,
        offer: Offer {
            reusable: flags & FLAG_REUSABLE != 0,
            expires_s: reader.u64()?,
            addresses: read_list(&mut reader, MAX_ADDRESSES, address::read)?,
            lines: read_list(&mut reader, MAX_LINES, read_line)?,
        },
    };
    reader.end()?;
    within_limits(&invitation.offer).then_some(invitation)
}

fn read_list<T>(
    reader: &mut Reader<'_>,
    limit: usize,
    read: fn(&mut Reader<'_>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = usize::from(reader.u8()?);
    if count > limit {
        return None;
    }
    (0..count).map(|_| read(reader)).collect()
}

fn read_line(reader: &mut Reader<'_>) -> Option<Vec<u8>> {
    let length = usize::from(reader.u8()?);
    reader.slice(length).map(<[u8]>::to_vec)
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, ..] = label::hash("invitation checksum", &[body]);
    [a, b, c, d]
}
