//! The keys of one day (docs/spec/lookup.md#keys-of-a-day).

use super::PresenceSecret;
use crate::label;
use crate::secret::Secret;

/// The keys under which the presence of one pair and one direction is published on one UTC day.
/// Keys of two days, or of two pairs, can't be linked.
#[derive(Debug, Clone)]
pub struct DayKey {
    day: u32,
    dht_seed: Secret<32>,
    record: Secret<16>,
}

impl DayKey {
    /// Derives the keys of `secret` on the UTC day `day` (days since 1970, see
    /// [`day`](super::day)).
    pub fn derive(secret: &PresenceSecret, day: u32) -> Self {
        let (key, field) = (secret.expose(), day.to_be_bytes());
        Self {
            day,
            dht_seed: label::derive(key, &[], "presence dht seed", &[&field]),
            record: label::derive(key, &[], "presence record key", &[&field]),
        }
    }

    /// Returns the seed of the ed25519 key (RFC 8032) that signs the record in the DHT. Its public
    /// half determines where the record is stored.
    pub const fn dht_seed(&self) -> &Secret<32> {
        &self.dht_seed
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

    #[test]
    fn keys_differ_by_secret_day_and_use() {
        let mut all = Vec::new();
        for byte in [1, 2] {
            let secret = PresenceSecret::new(Secret::new([byte; 32]));
            for day in [0, 1, u32::MAX] {
                let key = DayKey::derive(&secret, day);
                all.push(key.dht_seed().expose().to_vec());
                all.push(key.record_key().expose().to_vec());
            }
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup_by(|one, other| one.starts_with(other) || other.starts_with(one));
        assert_eq!(all.len(), count);
    }
}
