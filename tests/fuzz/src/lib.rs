//! What the fuzz targets share: fixed identities, a fixed moment, and random numbers.
#![allow(clippy::expect_used)]

use m2_crypto::envelope::EpochHeader;
use m2_crypto::{Circle, Identity, PeerId, provider};
use rand_core::UnwrapErr;

/// The moment of which all seeds speak, Unix time in seconds.
pub const NOW_S: u64 = 1_800_000_000;

/// The day of [`NOW_S`], counted from 1970-01-01.
pub const DAY: u32 = 20_833;

/// The incarnation in all seeds.
pub const INCARNATION: u64 = 0x1122_3344_5566_7788;

/// The message id in all seeds.
pub const MESSAGE_ID: [u8; 16] = [0x42; 16];

/// A fixed identity in the public circle.
pub struct Peer {
    /// Its keys.
    pub identity: Identity,
    /// Its id.
    pub id: PeerId,
}

impl Peer {
    /// Who sends.
    pub fn alice() -> Self {
        Self::of(include_str!("../../vectors/identities/alice.pem"))
    }

    /// Who receives.
    pub fn bob() -> Self {
        Self::of(include_str!("../../vectors/identities/bob.pem"))
    }

    fn of(pem: &str) -> Self {
        let identity =
            Identity::from_pem(pem, None, provider::default()).expect("a committed identity");
        let id = identity.peer_id(Circle::public().id());
        Self { identity, id }
    }

    /// The header of an epoch from this peer to another.
    pub fn header(&self, to: &Self, epoch: u64) -> EpochHeader {
        EpochHeader {
            sender: self.id,
            receiver: to.id,
            incarnation: INCARNATION,
            epoch,
            created_s: NOW_S,
        }
    }
}

/// The system's random numbers.
pub fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}
