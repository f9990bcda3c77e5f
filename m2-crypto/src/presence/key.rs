//! The keys of one day (docs/spec/lookup.md#keys-of-a-day).

use super::{PresenceSecret, RecordKey};
use crate::label;
use crate::secret::Secret;

/// The salt of a record in the DHT.
pub type Salt = [u8; 16];

/// What presence is published and found under: the secret of a pair, or an invitation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresenceKey {
    secret: PresenceSecret,
    /// The key of an invitation's records. Those of a pair have one for each day, which both sides
    /// derive.
    own: Option<RecordKey>,
}

impl PresenceKey {
    /// Returns the key of a pair of contacts, for one direction.
    pub const fn of_pair(secret: PresenceSecret) -> Self {
        Self { secret, own: None }
    }

    /// Returns the key of an invitation with this token. The inviter has the seed of `own`, holders
    /// of the invitation only its public half: they can read the records, but not replace them.
    pub fn of_invitation(token: &Secret<16>, own: RecordKey) -> Self {
        let mac = label::mac(token.expose(), "invitation presence", &[&own.public()]);
        Self {
            secret: PresenceSecret::new(Secret::new(mac)),
            own: Some(own),
        }
    }

    /// Returns the secret, which also tags announcements in the local network.
    pub const fn secret(&self) -> &PresenceSecret {
        &self.secret
    }
}

/// The keys under which presence is published on one UTC day. Keys of two days, or of two pairs,
/// can't be linked. An invitation's records have one signing key for all days.
#[derive(Debug, Clone)]
pub struct DayKey {
    day: u32,
    dht: RecordKey,
    salt: Option<Salt>,
    record: Secret<16>,
}

impl DayKey {
    /// Derives the keys for the UTC day `day` (days since 1970, see [`day`](super::day)).
    pub fn derive(key: &PresenceKey, day: u32) -> Self {
        let (secret, field) = (key.secret.expose(), day.to_be_bytes());
        let (dht, salt) = match &key.own {
            None => {
                let seed = label::derive(secret, &[], "presence dht seed", &[&field]);
                (RecordKey::Seed(seed), None)
            }
            Some(own) => {
                let salt: Secret<16> = label::derive(secret, &[], "presence salt", &[&field]);
                (own.clone(), Some(*salt.expose()))
            }
        };
        Self {
            day,
            dht,
            salt,
            record: label::derive(secret, &[], "presence record key", &[&field]),
        }
    }

    /// Returns the key that signs the record in the DHT.
    pub const fn dht_key(&self) -> &RecordKey {
        &self.dht
    }

    /// Returns the salt under which the record is stored, if it has one.
    pub const fn salt(&self) -> Option<&Salt> {
        self.salt.as_ref()
    }

    /// Returns the day, in days since 1970.
    pub const fn day(&self) -> u32 {
        self.day
    }

    /// Returns the AES-128-GCM key that seals records.
    pub(super) const fn record_key(&self) -> &Secret<16> {
        &self.record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(byte: u8) -> PresenceKey {
        PresenceKey::of_pair(PresenceSecret::new(Secret::new([byte; 32])))
    }

    fn seed(key: &DayKey) -> Vec<u8> {
        key.dht_key().seed().unwrap().expose().to_vec()
    }

    #[test]
    fn keys_differ_by_secret_day_and_use() {
        let mut all = Vec::new();
        for byte in [1, 2] {
            for day in [0, 1, u32::MAX] {
                let key = DayKey::derive(&pair(byte), day);
                all.push(seed(&key));
                all.push(key.record_key().expose().to_vec());
                assert_eq!(key.salt(), None);
            }
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup_by(|one, other| one.starts_with(other) || other.starts_with(one));
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_holder_of_an_invitation_reads_its_records_and_can_not_sign_them() {
        let token = Secret::new([1; 16]);
        let own = RecordKey::Seed(Secret::new([2; 32]));
        let held = RecordKey::Public(own.public());
        let inviter = PresenceKey::of_invitation(&token, own);
        let holder = PresenceKey::of_invitation(&token, held);
        assert_eq!(inviter.secret(), holder.secret());
        let [today, tomorrow] = [7, 8].map(|day| {
            let [ours, theirs] = [&inviter, &holder].map(|key| DayKey::derive(key, day));
            assert_eq!(ours.dht_key().public(), theirs.dht_key().public());
            assert_eq!(ours.record_key(), theirs.record_key());
            assert_eq!(ours.salt(), theirs.salt());
            assert!(ours.dht_key().seed().is_some() && theirs.dht_key().seed().is_none());
            ours
        });
        assert!(today.salt().is_some() && today.salt() != tomorrow.salt());
        assert_ne!(today.record_key(), tomorrow.record_key());
    }

    #[test]
    fn the_secret_of_an_invitation_depends_on_token_and_key() {
        let key = |token, public| {
            let own = RecordKey::Public([public; 32]);
            PresenceKey::of_invitation(&Secret::new([token; 16]), own)
        };
        let one = key(1, 1);
        assert!(one.secret() != key(2, 1).secret() && one.secret() != key(1, 2).secret());
    }
}
