//! Lines in an invitation (docs/spec/identity.md#invitations, docs/spec/line.md).

use super::{Invitation, MAX_LINE_BYTES};
use crate::address::{self, NamedAddress};
use crate::line::JoinToken;
use crate::peer_id::PeerId;
use crate::reader::Reader;

/// Maximum number of relay addresses in one line of an invitation.
pub const MAX_RELAY_ADDRESSES: usize = 4;

/// The kind of line that this version knows. Readers skip lines of other kinds.
const KIND: u8 = 1;

/// A line on which the holder of an invitation may reach the inviter while the invitation is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitedLine {
    /// The relay at which the inviter listens.
    pub relay: PeerId,
    /// The join token, the same on every day.
    pub token: JoinToken,
    /// Addresses of the relay: 1 to [`MAX_RELAY_ADDRESSES`], ports not 0.
    pub addresses: Vec<NamedAddress>,
}

impl InvitedLine {
    /// Encodes the line for an [`Offer`](super::Offer). Returns `None` if it has no address, too
    /// many, or one without a port.
    pub fn to_bytes(&self) -> Option<Vec<u8>> {
        if !self.is_within_limits() {
            return None;
        }
        let mut out = Vec::with_capacity(MAX_LINE_BYTES);
        out.push(KIND);
        out.extend_from_slice(self.relay.as_bytes());
        out.extend_from_slice(&self.token.0);
        for address in &self.addresses {
            address::write(&mut out, address);
        }
        Some(out)
    }

    /// Parses a line of an invitation. Returns `None` if it is malformed or of an unknown kind.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        reader.u8().filter(|kind| *kind == KIND)?;
        let relay = PeerId::from_bytes(reader.array()?);
        let token = JoinToken(reader.array()?);
        let mut rest = reader.rest();
        let mut addresses = Vec::new();
        while !rest.is_empty() {
            let mut reader = Reader::new(rest);
            addresses.push(address::read(&mut reader)?);
            rest = reader.rest();
        }
        let line = Self {
            relay,
            token,
            addresses,
        };
        line.is_within_limits().then_some(line)
    }

    fn is_within_limits(&self) -> bool {
        (1..=MAX_RELAY_ADDRESSES).contains(&self.addresses.len())
            && self.addresses.iter().all(NamedAddress::has_port)
    }
}

impl Invitation {
    /// Returns the lines on which the inviter is reachable, in the invitation's order. Malformed lines
    /// and lines of unknown kinds are skipped.
    pub fn invited_lines(&self) -> impl Iterator<Item = InvitedLine> + '_ {
        let lines = self.lines().iter();
        lines.filter_map(|line| InvitedLine::parse(line))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::JOIN_TOKEN_BYTES;

    fn line(addresses: &[&str]) -> InvitedLine {
        InvitedLine {
            relay: PeerId::from_bytes([1; 32]),
            token: JoinToken([2; JOIN_TOKEN_BYTES]),
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
        }
    }

    #[test]
    fn the_longest_line_fits() {
        let longest = line(&["[2001:db8::1]:1"; MAX_RELAY_ADDRESSES]);
        let bytes = longest.to_bytes().unwrap();
        assert!(bytes.len() <= MAX_LINE_BYTES);
        assert_eq!(InvitedLine::parse(&bytes), Some(longest));
    }

    #[test]
    fn malformed_lines_are_rejected() {
        assert_eq!(line(&[]).to_bytes(), None);
        assert_eq!(line(&["192.0.2.1:0"]).to_bytes(), None);
        assert_eq!(line(&["192.0.2.1:1"; 5]).to_bytes(), None);
        let good = line(&["192.0.2.1:1", "[2001:db8::1]:2"])
            .to_bytes()
            .unwrap();
        for length in 0..good.len() {
            let is_whole = length == good.len() - 19;
            assert_eq!(InvitedLine::parse(&good[..length]).is_some(), is_whole);
        }
        let mut other_kind = good;
        other_kind[0] = 2;
        assert_eq!(InvitedLine::parse(&other_kind), None);
    }
}
