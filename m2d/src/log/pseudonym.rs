//! Names for peers in debug lines. They are the same in one run of the daemon and say nothing in
//! another: a log tells which lines are about the same peer, and not about which one.

use m2_crypto::PeerId;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// A peer's name in this run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Pseudonym(u32);

impl Pseudonym {
    /// Returns the name of a peer in this run.
    pub fn of(peer: &PeerId) -> Self {
        let hash = KEY.hash_one(peer.as_bytes());
        Self((hash >> 32) as u32)
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer-{:08x}", self.0)
    }
}

impl fmt::Debug for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_keeps_its_name_and_differs_from_others() {
        let [one, other] = [[1; 32], [2; 32]].map(PeerId::from_bytes);
        assert_eq!(Pseudonym::of(&one), Pseudonym::of(&one));
        assert_ne!(Pseudonym::of(&one), Pseudonym::of(&other));
        let name = Pseudonym::of(&one).to_string();
        assert!(!one.to_string().contains(&name["peer-".len()..]));
    }
}
