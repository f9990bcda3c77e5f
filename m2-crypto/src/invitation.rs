//! Invitations: how a stranger becomes a contact (docs/spec/identity.md#invitations).
//!
//! An invitation is text, `m2://` followed by base32, short enough for a QR code. It contains no
//! name and no key: the certificate arrives in the handshake and must hash to the peer id.

mod line;
mod wire;

pub use crate::invite_id::InviteId;
pub use line::{InvitedLine, MAX_RELAY_ADDRESSES};

use crate::address::NamedAddress;
use crate::circle::CircleId;
use crate::label;
use crate::peer_id::PeerId;
use crate::presence::{PresenceKey, RecordKey};
use crate::secret::Secret;
use data_encoding::BASE32_NOPAD;
use rand_core::CryptoRng;
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// Maximum number of addresses in one invitation.
pub const MAX_ADDRESSES: usize = 8;
/// Maximum number of lines in one invitation.
pub const MAX_LINES: usize = 6;
/// Maximum length of one encoded line, in bytes.
pub const MAX_LINE_BYTES: usize = 128;
/// Maximum length of an invitation's text, in bytes. Longer text is rejected without parsing.
pub const MAX_URI_BYTES: usize = 2048;

/// The label under which a session exports the 32 bytes to which a [`proof`] is bound. The context
/// is empty.
pub const PROOF_EXPORT_LABEL: &[u8] = b"invitation proof";

const SCHEME: &str = "m2://";

/// The reason why an invitation could not be parsed or created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvitationError {
    /// The text is not an invitation, or part of it is missing or altered.
    #[error(
        "this is not a complete invitation: copy all of it, from m2:// to its end, or ask for a new one"
    )]
    Malformed,
    /// It has a format version that this version does not know.
    #[error("the invitation comes from a newer M2: update this one, then add it again")]
    UnknownVersion,
    /// It has too many addresses or lines, an address without a port, or a line that is empty or
    /// too long.
    #[error(
        "an invitation holds at most 8 addresses with a port and 6 lines of 1 to 128 bytes: name fewer"
    )]
    Limits,
}

/// The parts of an invitation that the inviter chooses.
#[derive(Clone, PartialEq, Eq)]
pub struct Offer {
    /// True if any number of peers may use it until it expires; otherwise one peer may.
    pub reusable: bool,
    /// When it expires, Unix time in seconds by the inviter's clock.
    pub expires_s: u64,
    /// Addresses at which the inviter is reachable: at most [`MAX_ADDRESSES`], ports not 0.
    pub addresses: Vec<NamedAddress>,
    /// Lines to the inviter, each encoded by [`InvitedLine::to_bytes`] or of a kind that only later
    /// versions know: at most [`MAX_LINES`] of 1 to [`MAX_LINE_BYTES`] bytes.
    pub lines: Vec<Vec<u8>>,
}

/// An invitation. It contains secrets: pass [`Invitation::to_uri`] to the other party over a
/// trusted channel, and log no part of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    peer: PeerId,
    circle_hint: [u8; 8],
    token: Secret<16>,
    record_key: [u8; 32],
    offer: Offer,
}

impl Invitation {
    /// Creates an invitation to `peer` in `circle` with a random token, for tests and tools: no side has
    /// the seed of its record key, so no presence is published for its holders.
    ///
    /// Errors: [`InvitationError::Limits`].
    pub fn create<R: CryptoRng + ?Sized>(
        rng: &mut R,
        peer: PeerId,
        circle: &CircleId,
        offer: Offer,
    ) -> Result<Self, InvitationError> {
        let (token, record_key) = (Secret::random(rng), RecordKey::generate(rng));
        Self::with_token(token, peer, circle, &record_key, offer)
    }

    /// Creates an invitation with an existing token. The lines of an invitation derive from its id,
    /// which derives from the token, so the token must exist before the lines. `record_key` is the
    /// key under which the inviter publishes its presence for the holders of the invitation.
    ///
    /// Errors: [`InvitationError::Limits`].
    pub fn with_token(
        token: Secret<16>,
        peer: PeerId,
        circle: &CircleId,
        record_key: &RecordKey,
        offer: Offer,
    ) -> Result<Self, InvitationError> {
        if !wire::within_limits(&offer) {
            return Err(InvitationError::Limits);
        }
        Ok(Self {
            peer,
            circle_hint: circle_hint(circle),
            token,
            record_key: record_key.public(),
            offer,
        })
    }

    /// Returns the invitation's text, `m2://…`. There is no `Display`, so that it is not logged by
    /// accident.
    pub fn to_uri(&self) -> Zeroizing<String> {
        let bytes = self.to_bytes();
        let size = SCHEME.len() + BASE32_NOPAD.encode_len(bytes.len());
        let mut uri = Zeroizing::new(String::with_capacity(size));
        uri.push_str(SCHEME);
        BASE32_NOPAD.encode_append(&bytes, &mut uri);
        uri.make_ascii_lowercase();
        uri
    }

    /// Returns whether it invites into `circle`. If not, the user gets an error at once instead of
    /// waiting for a dial that can't succeed.
    pub fn is_for(&self, circle: &CircleId) -> bool {
        self.circle_hint == circle_hint(circle)
    }

    /// Returns the inviter's peer id.
    pub const fn peer(&self) -> &PeerId {
        &self.peer
    }

    /// Returns the id by which the inviter finds the invitation. It does not reveal the token.
    pub fn id(&self) -> InviteId {
        InviteId::of(&self.token)
    }

    /// Returns the token that the invitee proves to hold.
    pub const fn token(&self) -> &Secret<16> {
        &self.token
    }

    /// Returns the public key under which the inviter publishes its presence until the invitation
    /// ends.
    pub const fn record_key(&self) -> &[u8; 32] {
        &self.record_key
    }

    /// Returns what the inviter's presence is looked up under.
    pub fn presence_key(&self) -> PresenceKey {
        PresenceKey::of_invitation(&self.token, RecordKey::Public(self.record_key))
    }

    /// Returns whether more than one peer may use it.
    pub const fn reusable(&self) -> bool {
        self.offer.reusable
    }

    /// Returns when it expires, Unix time in seconds.
    pub const fn expires_s(&self) -> u64 {
        self.offer.expires_s
    }

    /// Returns whether it has expired at `now_s`, Unix time in seconds.
    pub const fn has_expired(&self, now_s: u64) -> bool {
        now_s >= self.offer.expires_s
    }

    /// Returns the addresses at which the inviter is reachable.
    pub fn addresses(&self) -> &[NamedAddress] {
        &self.offer.addresses
    }

    /// Returns the encoded lines to the inviter; see [`Self::invited_lines`].
    pub fn lines(&self) -> &[Vec<u8>] {
        &self.offer.lines
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    /// Parses the text in either case (QR codes are smaller in capitals). Surrounding white space
    /// is ignored.
    fn from_str(text: &str) -> Result<Self, InvitationError> {
        let bytes = decode(text.trim()).ok_or(InvitationError::Malformed)?;
        Self::from_bytes(&bytes)
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Invitation(..)")
    }
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offer(..)")
    }
}

/// Proves possession of `token` within one session. `exporter` is the value that the session
/// exports under [`PROOF_EXPORT_LABEL`]: equal on both sides, and different in every other session.
pub fn proof(token: &Secret<16>, exporter: &Secret<32>) -> [u8; 32] {
    label::mac(token.expose(), "invitation proof", &[exporter.expose()])
}

/// Verifies a [`proof`] in constant time.
pub fn verify_proof(token: &Secret<16>, exporter: &Secret<32>, shown: &[u8]) -> bool {
    proof(token, exporter).ct_eq(shown).into()
}

/// Returns the first 8 bytes of the circle's id, enough to distinguish circles.
fn circle_hint(circle: &CircleId) -> [u8; 8] {
    let mut hint = [0; 8];
    hint.iter_mut()
        .zip(circle.as_bytes())
        .for_each(|(to, from)| *to = *from);
    hint
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    if text.len() > MAX_URI_BYTES {
        return None;
    }
    let (scheme, rest) = text.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let rest = Zeroizing::new(rest.to_ascii_uppercase());
    BASE32_NOPAD
        .decode(rest.as_bytes())
        .ok()
        .map(Zeroizing::new)
}
