//! The hash chain of an epoch, with one step for each message (docs/spec/envelope.md#chain).

use super::grant::{EpochHeader, grant_hash};
use crate::label;
use crate::secret::Secret;

/// The chain key before some message. Callers replace it with the next one, which erases it.
pub(super) struct ChainKey(Secret<32>);

/// The seed from which one message's keys are derived. It is kept instead of the keys while later
/// messages overtake the message.
pub(super) struct MessageSeed(Box<Secret<32>>);

pub(super) struct MessageKeys {
    pub(super) enc: Secret<16>,
    pub(super) mac: Secret<32>,
    pub(super) iv: Secret<16>,
}

impl ChainKey {
    /// Derives the chain's root: HKDF(content key, salt = hash of the whole signed grant).
    pub(super) fn root(content_key: &Secret<16>, grant: &[u8], header: &EpochHeader) -> Self {
        let salt = grant_hash(grant);
        let parties = [&header.sender.as_bytes()[..], header.receiver.as_bytes()];
        Self(label::derive(
            content_key.expose(),
            &salt,
            "chain root",
            &parties,
        ))
    }

    pub(super) const fn from_secret(secret: Secret<32>) -> Self {
        Self(secret)
    }

    pub(super) const fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// Returns the seed of the current message, and the chain key before the next one.
    pub(super) fn step(&self) -> (MessageSeed, Self) {
        let out: Secret<64> = label::derive(self.0.expose(), &[], "chain step", &[]);
        let (next, seed) = halves(&out);
        (MessageSeed(Box::new(seed)), Self(next))
    }
}

impl MessageSeed {
    pub(super) fn from_secret(secret: Secret<32>) -> Self {
        Self(Box::new(secret))
    }

    pub(super) fn secret(&self) -> &Secret<32> {
        &self.0
    }

    /// Derives the message's cipher key, IV and MAC key.
    pub(super) fn keys(&self) -> MessageKeys {
        MessageKeys::split(&label::derive(self.0.expose(), &[], "message keys", &[]))
    }
}

impl MessageKeys {
    /// Splits into cipher key (16 bytes) ‖ IV (16 bytes) ‖ MAC key (32 bytes).
    pub(super) fn split(out: &Secret<64>) -> Self {
        let (first, mac) = halves(out);
        let mut enc = [0; 16];
        let mut iv = [0; 16];
        for (to, from) in enc.iter_mut().chain(iv.iter_mut()).zip(first.expose()) {
            *to = *from;
        }
        Self {
            enc: Secret::new(enc),
            mac,
            iv: Secret::new(iv),
        }
    }
}

fn halves(out: &Secret<64>) -> (Secret<32>, Secret<32>) {
    let mut first = [0; 32];
    let mut second = [0; 32];
    for (to, from) in first.iter_mut().chain(second.iter_mut()).zip(out.expose()) {
        *to = *from;
    }
    (Secret::new(first), Secret::new(second))
}
