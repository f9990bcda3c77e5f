//! The letter secrets that are kept for one contact (docs/spec/letter.md#letter-secrets).

use super::secret::LetterSecret;
use crate::envelope::SESSION_NAME_BYTES;

/// The most secrets that are kept for a contact. Each costs one key derivation and one MAC when a
/// letter does not open.
pub const MAX_LETTER_SECRETS: usize = 16;

/// How long a secret is kept after the peer said that it seals with a newer one, in seconds: 15 days.
/// A letter waits at most 7 days for its deposit, and stays at most 7 days in its box.
pub const SECRET_KEPT_S: u64 = 15 * 24 * 3_600;

/// A letter secret with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptSecret {
    /// The secret.
    pub secret: LetterSecret,
    /// Whether the peer said that it has committed the secret. Only then may letters to the peer be
    /// sealed with it.
    pub peer_has_it: bool,
    /// The time at which the secret is erased, Unix time in seconds. `None` while the peer may seal
    /// with it.
    pub ends_s: Option<u64>,
}

/// The letter secrets of one contact, newest first.
///
/// The caller reports events in any order, each after its own commit: [`Self::take`] when a session
/// has exported its secret, [`Self::peer_committed`] and [`Self::peer_seals_with`] when the peer says
/// so, [`Self::expire`] when [`Self::next_end_s`] is reached. It seals with [`Self::sealing`] and opens
/// with [`Self::opening`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LetterSecrets(Vec<KeptSecret>);

impl LetterSecrets {
    /// Restores a set from the store, newest first.
    pub fn new(kept: Vec<KeptSecret>) -> Self {
        let mut secrets = Self(kept);
        while secrets.0.len() > MAX_LETTER_SECRETS {
            secrets.drop_one();
        }
        secrets
    }

    /// Returns the secrets with their state, newest first, for the store.
    pub fn kept(&self) -> &[KeptSecret] {
        &self.0
    }

    /// Adds the secret of a new session. Has no effect if the secret of this session is known. Drops
    /// another secret if [`MAX_LETTER_SECRETS`] would be exceeded.
    pub fn take(&mut self, secret: LetterSecret) {
        if self.position(secret.session()).is_some() {
            return;
        }
        let kept = KeptSecret {
            secret,
            peer_has_it: false,
            ends_s: None,
        };
        self.0.insert(0, kept);
        if self.0.len() > MAX_LETTER_SECRETS {
            self.drop_one();
        }
    }

    /// Records that the peer has committed the secret of this session. Returns whether the secret is
    /// known.
    pub fn peer_committed(&mut self, session: &[u8; SESSION_NAME_BYTES]) -> bool {
        let kept = self.0.iter_mut().find(|kept| kept.is_of(session));
        if let Some(kept) = kept {
            kept.peer_has_it = true;
            return true;
        }
        false
    }

    /// Records that the peer seals its letters with the secret of this session from now on, and so
    /// has committed it. All older secrets end [`SECRET_KEPT_S`] after `now_s`, Unix time in seconds,
    /// or earlier if their end is set already. That of the named one is lifted: where sessions cross, the
    /// two sides may number them differently. Returns whether the secret is known.
    pub fn peer_seals_with(&mut self, session: &[u8; SESSION_NAME_BYTES], now_s: u64) -> bool {
        let Some(position) = self.position(session) else {
            return false;
        };
        let ends_s = now_s.saturating_add(SECRET_KEPT_S);
        for kept in self.0.iter_mut().skip(position + 1) {
            kept.ends_s.get_or_insert(ends_s);
        }
        if let Some(named) = self.0.get_mut(position) {
            named.ends_s = None;
        }
        self.peer_committed(session)
    }

    /// Returns the secret with which letters to the peer are sealed: the newest one that the peer has
    /// committed.
    pub fn sealing(&self) -> Option<&LetterSecret> {
        let newest = self.0.iter().find(|kept| kept.peer_has_it);
        newest.map(|kept| &kept.secret)
    }

    /// Returns the secrets with which to open a letter of the peer, newest first.
    pub fn opening(&self) -> Vec<&LetterSecret> {
        self.0.iter().map(|kept| &kept.secret).collect()
    }

    /// Erases the secrets that have ended at `now_s`, Unix time in seconds. Returns whether there was
    /// one.
    pub fn expire(&mut self, now_s: u64) -> bool {
        let count = self.0.len();
        self.0
            .retain(|kept| kept.ends_s.is_none_or(|ends_s| ends_s > now_s));
        self.0.len() < count
    }

    /// Returns the time of the next [`Self::expire`], Unix time in seconds.
    pub fn next_end_s(&self) -> Option<u64> {
        self.0.iter().filter_map(|kept| kept.ends_s).min()
    }

    fn position(&self, session: &[u8; SESSION_NAME_BYTES]) -> Option<usize> {
        self.0.iter().position(|kept| kept.is_of(session))
    }

    /// Drops the oldest secret that is of no use, or else of least use: one that has an end, or else
    /// one that neither side is known to seal with. Until the peer says more, it may seal with the
    /// oldest one without an end.
    fn drop_one(&mut self) {
        let sealing = self.0.iter().position(|kept| kept.peer_has_it);
        let peers = self.0.iter().rposition(|kept| kept.ends_s.is_none());
        let at = self.0.iter().enumerate().rposition(|(at, kept)| {
            kept.ends_s.is_some() || (at > 0 && Some(at) != sealing && Some(at) != peers)
        });
        match at {
            Some(at) => drop(self.0.remove(at)),
            None => drop(self.0.pop()),
        }
    }
}

impl KeptSecret {
    fn is_of(&self, session: &[u8; SESSION_NAME_BYTES]) -> bool {
        self.secret.session() == session
    }
}

#[cfg(test)]
mod tests;
