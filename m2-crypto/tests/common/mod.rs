//! Fixtures shared by the tests of this crate: the fixed identities, and random number generators.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

pub mod letter;
pub mod reference;
pub mod vectors;

use m2_crypto::envelope::{Ends, EpochHeader, EpochSecret, GrantRefused, ReceiveEpoch, SendEpoch};
use m2_crypto::{Circle, Identity, PeerId, Provider, Secret, provider};
use rand_core::UnwrapErr;

/// The current time in all tests, Unix time in seconds.
pub const NOW_S: u64 = 1_800_000_000;
pub const INCARNATION: u64 = 0x1122_3344_5566_7788;
/// The name of the session in which the tests' epochs are opened, and its exported secret.
pub const SESSION: [u8; 8] = [0x5e; 8];
pub const EPOCH_SECRET: [u8; 32] = [0xe5; 32];

/// Returns the operating system's random number generator.
pub fn rng() -> UnwrapErr<getrandom::SysRng> {
    UnwrapErr(getrandom::SysRng)
}

/// One of the fixed identities, in the public circle.
pub struct Peer {
    pub identity: Identity,
    pub id: PeerId,
}

impl Peer {
    pub fn alice() -> Self {
        Self::named("alice", provider::default())
    }

    pub fn bob() -> Self {
        Self::named("bob", provider::default())
    }

    pub fn carol() -> Self {
        Self::named("carol", provider::default())
    }

    pub fn named(name: &str, provider: &dyn Provider) -> Self {
        let identity = Identity::from_pem(&pem(name), None, provider).unwrap();
        let id = identity.peer_id(Circle::public().id());
        Self { identity, id }
    }

    pub fn header(&self, to: &Self, epoch: u64) -> EpochHeader {
        EpochHeader {
            sender: self.id,
            receiver: to.id,
            incarnation: INCARNATION,
            epoch,
            created_s: NOW_S,
        }
    }

    pub fn send_epoch(&self, to: &Self, epoch: u64) -> SendEpoch {
        let header = self.header(to, epoch);
        SendEpoch::open(
            &mut rng(),
            &self.identity,
            to.identity.certificate(),
            header,
            &session().next_share(),
        )
        .unwrap()
    }

    pub fn accept(&self, from: &Self, grant: &[u8]) -> Result<ReceiveEpoch, GrantRefused> {
        self.accept_in(&mut session(), from, grant)
    }

    pub fn accept_in(
        &self,
        session: &mut EpochSecret,
        from: &Self,
        grant: &[u8],
    ) -> Result<ReceiveEpoch, GrantRefused> {
        ReceiveEpoch::accept(&mut rng(), &self.ends(from), session, grant, NOW_S)
    }

    pub fn ends<'a>(&'a self, from: &'a Self) -> Ends<'a> {
        Ends {
            receiver: &self.identity,
            receiver_id: self.id,
            sender: from.identity.certificate(),
            sender_id: from.id,
        }
    }
}

/// Returns the secret of the session in which the tests' epochs are opened, before the first of them.
pub fn session() -> EpochSecret {
    EpochSecret::new(SESSION, Secret::new(EPOCH_SECRET))
}

/// Reads the PEM file of a fixed identity.
pub fn pem(name: &str) -> String {
    let path = vectors_dir().join(format!("identities/{name}.pem"));
    std::fs::read_to_string(path).unwrap()
}

/// Returns the directory of the fixed vectors.
pub fn vectors_dir() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors")
}
