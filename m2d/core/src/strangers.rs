//! The sessions of strangers: peers without any relation, which may only send a contact request.

use m2_crypto::PeerId;
use m2_limits::prefix::Prefix;
use m2_limits::shares::{Claim, FairShares, WhenEven};
use std::collections::BTreeMap;

/// The most sessions with strangers.
const MAX_STRANGERS: usize = 64;

/// Sessions with strangers, one for each peer. They are shared among source prefixes, so that no
/// prefix can lock out peers that have an invitation.
#[derive(Debug)]
pub struct Strangers<S>(BTreeMap<u64, Stranger<S>>);

#[derive(Debug)]
struct Stranger<S> {
    peer: PeerId,
    prefix: Prefix,
    session: S,
}

/// Why a stranger's session must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eviction {
    /// The same peer has a new session.
    Replaced,
    /// Another source needs the place.
    Crowded,
}

impl<S> Default for Strangers<S> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<S> Strangers<S> {
    /// Admits a session with a number that grows from session to session. Returns the session that
    /// must end for it, if any.
    pub fn admit(
        &mut self,
        number: u64,
        peer: PeerId,
        prefix: Prefix,
        session: S,
    ) -> Option<(S, Eviction)> {
        let same = self.0.iter().find(|(_, other)| other.peer == peer);
        let evicted = match same {
            Some((same, _)) => Some((*same, Eviction::Replaced)),
            None => self
                .to_end(number, prefix)
                .map(|id| (id, Eviction::Crowded)),
        };
        let evicted = evicted.and_then(|(id, why)| Some((self.remove(id)?, why)));
        let stranger = Stranger {
            peer,
            prefix,
            session,
        };
        self.0.insert(number, stranger);
        evicted
    }

    /// Returns the session of a peer.
    pub fn of(&self, peer: &PeerId) -> Option<&S> {
        let mut strangers = self.0.values();
        let stranger = strangers.find(|stranger| stranger.peer == *peer);
        stranger.map(|stranger| &stranger.session)
    }

    /// Removes a session that has ended, or whose peer is no stranger any more.
    pub fn remove(&mut self, number: u64) -> Option<S> {
        self.0.remove(&number).map(|stranger| stranger.session)
    }

    /// Keeps the sessions for which `keep` returns true.
    pub fn retain(&mut self, mut keep: impl FnMut(&S) -> bool) {
        self.0.retain(|_, stranger| keep(&stranger.session));
    }

    /// Returns the number of sessions.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Iterates over the sessions, oldest first.
    pub fn sessions(&self) -> impl Iterator<Item = &S> {
        self.0.values().map(|stranger| &stranger.session)
    }

    /// Returns the session that must end to admit another one; `None` while there is room.
    fn to_end(&self, number: u64, prefix: Prefix) -> Option<u64> {
        let mut shares = FairShares::new(MAX_STRANGERS, WhenEven::Replace);
        for (number, stranger) in &self.0 {
            shares.claim(*number, stranger.prefix);
        }
        match shares.claim(number, prefix) {
            Claim::Granted => None,
            Claim::TakeFrom(other) => Some(other),
            Claim::Refused => self.0.keys().next().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;

    fn peer(number: u8) -> PeerId {
        PeerId::from_bytes([number; 32])
    }

    fn prefix(number: u8) -> Prefix {
        Prefix::of(IpAddr::from([127, 0, number, 1]))
    }

    #[test]
    fn a_new_session_of_a_stranger_replaces_its_old_one() {
        let mut strangers = Strangers::default();
        assert_eq!(strangers.admit(1, peer(1), prefix(1), "old"), None);
        let evicted = strangers.admit(2, peer(1), prefix(2), "new");
        assert_eq!(evicted, Some(("old", Eviction::Replaced)));
        assert_eq!(strangers.sessions().collect::<Vec<_>>(), [&"new"]);
    }

    #[test]
    fn a_prefix_that_floods_the_table_displaces_no_other() {
        let mut strangers = Strangers::default();
        strangers.admit(0, peer(0), prefix(2), 0);
        for number in 1..200 {
            strangers.admit(u64::from(number), peer(number), prefix(1), number);
        }
        assert!(strangers.sessions().any(|session| *session == 0));
        for number in 200..250 {
            let own = prefix(number);
            strangers.admit(u64::from(number), peer(number), own, number);
            assert!(strangers.sessions().any(|session| *session == number));
        }
        assert_eq!(strangers.sessions().count(), MAX_STRANGERS);
        assert!(strangers.sessions().any(|session| *session == 0));
    }

    #[test]
    fn a_session_that_ended_makes_room() {
        let mut strangers = Strangers::default();
        for number in 0..MAX_STRANGERS as u8 {
            assert_eq!(
                strangers.admit(u64::from(number), peer(number), prefix(number), number),
                None
            );
        }
        assert_eq!(strangers.remove(7), Some(7));
        assert_eq!(strangers.remove(7), None);
        assert_eq!(strangers.admit(900, peer(90), prefix(90), 90), None);
    }
}
