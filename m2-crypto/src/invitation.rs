//! Invitations: how a stranger becomes a contact (spec §4).
//!
//! An invitation is text, `m2://` and base32, short enough for a QR code. It holds no name and
//! no key: the certificate arrives in the handshake and must hash to the peer id.

mod line;
mod wire;

pub use line::{InvitedLine, MAX_RELAY_ADDRESSES};

use crate::address::NamedAddress;
use crate::circle::CircleId;
use crate::label;
use crate::peer_id::PeerId;
use crate::secret::Secret;
use data_encoding::{BASE32_NOPAD, HEXLOWER};
use rand_core::CryptoRng;
use std::fmt;
use std::str::FromStr;
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

/// Addresses in one invitation, at most.
pub const MAX_ADDRESSES: usize = 8;
/// Lines in one invitation, at most.
pub const MAX_LINES: usize = 6;
/// Bytes of one line, at most.
pub const MAX_LINE_BYTES: usize = 128;
/// Bytes of an invitation's text, at most; longer ones are refused unread.
pub const MAX_URI_BYTES: usize = 2048;

/// The label under which a session exports the 32 bytes that a [`proof`] is bound to; the context
/// is empty.
pub const PROOF_EXPORT_LABEL: &[u8] = b"invitation proof";

const SCHEME: &str = "m2://";

/// Why a text is no invitation, or why none could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvitationError {
    /// The text is no invitation, or a part or a letter of it got lost.
    #[error(
        "this is not a complete invitation: copy all of it, from m2:// to its end, or ask for a new one"
    )]
    Malformed,
    /// It was made by a version of M2 that this one does not know.
    #[error("the invitation comes from a newer M2: update this one, then add it again")]
    UnknownVersion,
    /// More addresses or lines than an invitation holds, or a line that is empty or too long.
    #[error(
        "an invitation holds at most 8 addresses with a port and 6 lines of 1 to 128 bytes: name fewer"
    )]
    Limits,
}

/// What an inviter decides about an invitation.
#[derive(Clone, PartialEq, Eq)]
pub struct Offer {
    /// May be used by any number of peers until it expires; else by one.
    pub reusable: bool,
    /// When it expires, Unix time in seconds by the inviter's clock.
    pub expires_s: u64,
    /// Where the inviter can be reached: at most [`MAX_ADDRESSES`], ports not 0.
    pub addresses: Vec<NamedAddress>,
    /// Lines to the inviter, each made by [`InvitedLine::to_bytes`], or of a kind that only later
    /// versions know: at most [`MAX_LINES`] of 1 to [`MAX_LINE_BYTES`].
    pub lines: Vec<Vec<u8>>,
}

/// An invitation. It holds secrets: give [`Invitation::to_uri`] to the other side by a trusted
/// way, and nothing of it to a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    peer: PeerId,
    circle_hint: [u8; 8],
    token: Secret<16>,
    rendezvous: Secret<32>,
    offer: Offer,
}

impl Invitation {
    /// Makes an invitation to the peer `peer` of `circle` with a fresh token and a fresh
    /// rendezvous secret.
    pub fn create<R: CryptoRng + ?Sized>(
        rng: &mut R,
        peer: PeerId,
        circle: &CircleId,
        offer: Offer,
    ) -> Result<Self, InvitationError> {
        let token = Secret::random(rng);
        Self::with_token(rng, token, peer, circle, offer)
    }

    /// The same with a token that was made before: lines of an invitation follow from its id, and
    /// so from its token.
    pub fn with_token<R: CryptoRng + ?Sized>(
        rng: &mut R,
        token: Secret<16>,
        peer: PeerId,
        circle: &CircleId,
        offer: Offer,
    ) -> Result<Self, InvitationError> {
        if !wire::within_limits(&offer) {
            return Err(InvitationError::Limits);
        }
        Ok(Self {
            peer,
            circle_hint: circle_hint(circle),
            token,
            rendezvous: Secret::random(rng),
            offer,
        })
    }

    /// The invitation's text, `m2://…`. (There is no `Display`: it would end up in a log.)
    pub fn to_uri(&self) -> Zeroizing<String> {
        let bytes = self.to_bytes();
        let size = SCHEME.len() + BASE32_NOPAD.encode_len(bytes.len());
        let mut uri = Zeroizing::new(String::with_capacity(size));
        uri.push_str(SCHEME);
        BASE32_NOPAD.encode_append(&bytes, &mut uri);
        uri.make_ascii_lowercase();
        uri
    }

    /// Whether it invites into `circle`. If not, the user is told so, instead of waiting for an
    /// answer that can't come.
    pub fn is_for(&self, circle: &CircleId) -> bool {
        self.circle_hint == circle_hint(circle)
    }

    /// Who invites.
    pub const fn peer(&self) -> &PeerId {
        &self.peer
    }

    /// What names the invitation to the inviter, without giving the token away.
    pub fn id(&self) -> InviteId {
        InviteId::of(&self.token)
    }

    /// The token that the invited proves to hold.
    pub const fn token(&self) -> &Secret<16> {
        &self.token
    }

    /// The secret that the inviter's whereabouts are published under until the invitation ends.
    pub const fn rendezvous(&self) -> &Secret<32> {
        &self.rendezvous
    }

    /// Whether more than one peer may use it.
    pub const fn reusable(&self) -> bool {
        self.offer.reusable
    }

    /// When it expires, Unix time in seconds.
    pub const fn expires_s(&self) -> u64 {
        self.offer.expires_s
    }

    /// Whether it has expired.
    pub const fn has_expired(&self, now_s: u64) -> bool {
        now_s >= self.offer.expires_s
    }

    /// Where the inviter can be reached.
    pub fn addresses(&self) -> &[NamedAddress] {
        &self.offer.addresses
    }

    /// Lines to the inviter as they stand there; see [`Self::invited_lines`].
    pub fn lines(&self) -> &[Vec<u8>] {
        &self.offer.lines
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    /// Reads the text in either case (QR codes are smaller in capitals), with white space around
    /// it ignored.
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

/// What names an invitation in a contact request: 16 bytes of a hash of its token.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InviteId([u8; 16]);

impl InviteId {
    /// The id of the invitation with this token.
    pub fn of(token: &Secret<16>) -> Self {
        let hash = label::hash("invitation id", &[token.expose()]);
        let mut id = [0; 16];
        id.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
        Self(id)
    }

    /// An id from its bytes, as read from a store or a message.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for InviteId {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        HEXLOWER
            .decode(text.as_bytes())
            .ok()
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(InvitationError::Malformed)
    }
}

impl fmt::Debug for InviteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InviteId(..)")
    }
}

/// Proves, inside one session alone, that its maker holds `token`. `exporter` is what the
/// session exports under [`PROOF_EXPORT_LABEL`], the same on both sides and in no other session.
pub fn proof(token: &Secret<16>, exporter: &Secret<32>) -> [u8; 32] {
    label::mac(token.expose(), "invitation proof", &[exporter.expose()])
}

/// Checks a [`proof`] in constant time.
pub fn verify_proof(token: &Secret<16>, exporter: &Secret<32>, shown: &[u8]) -> bool {
    proof(token, exporter).ct_eq(shown).into()
}

/// The first 8 bytes of the circle's id: enough to tell circles apart.
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
