//! Items shared by the fuzz targets: fixed identities, a fixed time, and random numbers.
#![allow(clippy::expect_used)]

use m2_crypto::deposit::DepositNonce;
use m2_crypto::envelope::EpochHeader;
use m2_crypto::letter::LetterSecret;
use m2_crypto::one_time_key::{OneTimeKey, OneTimeSeed};
use m2_crypto::{Circle, Identity, PeerId, Secret, provider};
use rand_core::UnwrapErr;

/// The time in all seeds, in Unix seconds.
pub const NOW_S: u64 = 1_800_000_000;

/// The day of [`NOW_S`], in days since 1970-01-01.
pub const DAY: u32 = 20_833;

/// The sender's incarnation in all seeds.
pub const INCARNATION: u64 = 0x1122_3344_5566_7788;

/// The message id in all seeds.
pub const MESSAGE_ID: [u8; 16] = [0x42; 16];

/// The nonce of the token in all seeds.
pub const NONCE: DepositNonce = DepositNonce::from_bytes([0x0e; 16]);

/// A committed test identity in the public circle.
pub struct Peer {
    /// The certificate and private key.
    pub identity: Identity,
    /// The peer id in the public circle.
    pub id: PeerId,
}

impl Peer {
    /// Returns the sender of all seeds.
    pub fn alice() -> Self {
        Self::of(include_str!("../../vectors/identities/alice.pem"))
    }

    /// Returns the receiver of all seeds.
    pub fn bob() -> Self {
        Self::of(include_str!("../../vectors/identities/bob.pem"))
    }

    fn of(pem: &str) -> Self {
        let identity =
            Identity::from_pem(pem, None, provider::default()).expect("a committed identity");
        let id = identity.peer_id(Circle::public().id());
        Self { identity, id }
    }

    /// Returns the header of epoch number `epoch` from this peer to `to`.
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

/// Returns the one-time key of all seeds.
pub fn one_time_key() -> OneTimeKey {
    OneTimeSeed::new(Secret::new([1; 96]))
        .key(provider::default())
        .expect("a fixed seed")
}

/// Returns the letter secret of all seeds.
pub fn letter_secret() -> LetterSecret {
    LetterSecret::new([1; 8], Secret::new([1; 32]))
}

/// Returns the operating system's random number generator.
pub fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}
