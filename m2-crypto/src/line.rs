//! The secrets and tokens of lines (docs/spec/line.md#tokens).
//!
//! A listener opens a line at a relay with a secret. A caller joins it with a token that derives
//! from the secret and does not reveal it, so no caller can take the listener's place. Each line
//! belongs to one relay, one UTC day and one contact or invitation: the tokens of two lines can't
//! be linked.

use crate::invite_id::InviteId;
use crate::label;
use crate::peer_id::PeerId;
use crate::secret::Secret;
use std::fmt;
use subtle::ConstantTimeEq;

/// Bytes of a [`JoinToken`].
pub const JOIN_TOKEN_BYTES: usize = 16;

/// The key from which the secrets of all lines of a daemon derive. It derives from the identity and
/// so is the same after every restart.
#[derive(Debug, Clone)]
pub struct LineKey(Secret<32>);

/// The party for which a line is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Caller {
    /// A contact.
    Contact(PeerId),
    /// Any holder of an invitation.
    Invited(InviteId),
}

/// The secret that opens a line. Known only to the listener and its relays.
#[derive(Debug, Clone)]
pub struct LineSecret(Secret<32>);

/// The token that joins a line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JoinToken(pub [u8; JOIN_TOKEN_BYTES]);

impl LineKey {
    /// Wraps the key of an identity; see [`Identity::line_key`](crate::Identity::line_key).
    pub const fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// Derives the secret of the line at `relay` on the UTC day `day` (days since 1970) for
    /// `caller`.
    pub fn secret(&self, relay: &PeerId, day: u32, caller: &Caller) -> LineSecret {
        let (kind, id): (u8, &[u8]) = match caller {
            Caller::Contact(peer) => (0, peer.as_bytes()),
            Caller::Invited(invitation) => (1, invitation.as_bytes()),
        };
        let fields: [&[u8]; 4] = [relay.as_bytes(), &day.to_be_bytes(), &[kind], id];
        LineSecret(Secret::new(label::mac(
            self.0.expose(),
            "line secret",
            &fields,
        )))
    }
}

impl PartialEq for LineSecret {
    fn eq(&self, other: &Self) -> bool {
        self.0.expose().ct_eq(other.0.expose()).into()
    }
}

impl Eq for LineSecret {}

impl LineSecret {
    /// Wraps a secret received in a frame.
    pub const fn new(bytes: Secret<32>) -> Self {
        Self(bytes)
    }

    /// Returns the bytes, for a frame.
    pub const fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// Derives the token with which callers join the line.
    pub fn join_token(&self) -> JoinToken {
        let hash = label::hash("join", &[self.0.expose()]);
        let mut token = [0; JOIN_TOKEN_BYTES];
        token.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        JoinToken(token)
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JoinToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_differ_by_relay_day_and_caller() {
        let key = LineKey::new(Secret::new([7; 32]));
        let relays = [PeerId::from_bytes([1; 32]), PeerId::from_bytes([2; 32])];
        let callers = [
            Caller::Contact(PeerId::from_bytes([3; 32])),
            Caller::Contact(PeerId::from_bytes([4; 32])),
            Caller::Invited(InviteId::of(&Secret::new([3; 16]))),
        ];
        let mut tokens = Vec::new();
        for relay in &relays {
            for day in [0, 1, 20_000] {
                for caller in &callers {
                    tokens.push(key.secret(relay, day, caller).join_token());
                }
            }
        }
        let count = tokens.len();
        tokens.sort_unstable();
        tokens.dedup();
        assert_eq!(tokens.len(), count);
    }
}
