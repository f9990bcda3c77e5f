//! The cost of the RSA operations of a first message on this machine.

use m2_crypto::Identity;
use m2_crypto::session_key::SessionKeyPair;
use rand_core::UnwrapErr;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// The number of RSA-2048 private operations of a first message. The handshake opens one key under
/// each side's fresh RSA-2048 key and signs once on each side with RSA-4096; the epoch's grant is
/// signed once and opened once. Public operations are not counted.
pub(super) const SESSION_PRIVATE: u32 = 2;
/// The number of RSA-4096 private operations of a first message: see [`SESSION_PRIVATE`].
pub(super) const IDENTITY_PRIVATE: u32 = 4;

/// The time of one operation of each kind.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) session_private: Duration,
    pub(super) identity_private: Duration,
}

impl Cost {
    /// Returns the time of all private operations of a first message, run sequentially.
    pub(super) fn first_message(&self) -> Duration {
        self.session_private * SESSION_PRIVATE + self.identity_private * IDENTITY_PRIVATE
    }
}

/// Number of repetitions of each operation.
const ROUNDS: u32 = 20;

impl Cost {
    /// Measures each operation with the default provider.
    ///
    /// Errors: the test identity cannot be read, or an operation fails.
    pub(super) fn measure() -> anyhow::Result<Self> {
        let mut rng = UnwrapErr(getrandom::SysRng);
        let provider = m2_crypto::provider::default();
        let pem = crate::workspace::root()?.join("tests/vectors/identities/alice.pem");
        let identity = Identity::from_pem(&std::fs::read_to_string(pem)?, None, provider)?;
        let session = SessionKeyPair::generate(&mut rng, provider)?;
        let wrapped = session.public().wrap(&mut rng, b"bench", &[7; 16])?;
        let session_private =
            time(|| black_box(session.unwrap(&mut rng, b"bench", &wrapped)).is_ok())?;
        let identity_private = time(|| black_box(identity.sign(&mut rng, b"bench")).is_ok())?;
        Ok(Self {
            session_private,
            identity_private,
        })
    }
}

fn time(mut operation: impl FnMut() -> bool) -> anyhow::Result<Duration> {
    let start = Instant::now();
    for _ in 0..ROUNDS {
        anyhow::ensure!(operation(), "an RSA operation failed");
    }
    Ok(start.elapsed() / ROUNDS)
}
